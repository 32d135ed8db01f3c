import type pg from 'pg';

/** Everything that is under way on the connection fails at once, whatever its server does. */
export function breakConnection(client: pg.ClientBase): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}
