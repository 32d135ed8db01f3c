import { openSocket, requestBytes } from './raw-http.ts';
import { atMost, note, type Target, type Told } from './target.ts';

const BOUNDARY = 'siege';
const QUERY = 'mutation ($file: File!) { importCohort(input: { name: "Siege", file: $file }) { id } }';

/** An upload of gigabytes by one who may not upload. It should be refused before its bytes have come. */
export async function forbiddenUpload(target: Target, { patienceMs = 10_000 } = {}): Promise<Told> {
  const told: Told = {};
  const socket = await openSocket(target);
  const field = (name: string, value: string) =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const answered = new Promise<void>((resolve) => {
    socket.once('data', (chunk) => {
      const text = chunk.toString('latin1');
      const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(text) ?? [];
      const [, code] = /"code":"(\w+)"/.exec(text) ?? [];
      note(told, [status ?? '?', ...(code ? [code] : [])].join(' '));
      resolve();
    });
    socket.once('close', () => resolve());
  });
  socket.write(
    requestBytes('POST /graphql', {
      authorization: `Bearer ${target.token}`,
      'graphql-require-preflight': '1',
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'content-length': '1500000000',
    }),
  );
  socket.write(field('operations', JSON.stringify({ query: QUERY, variables: { file: null } })));
  socket.write(field('map', '{"0":["variables.file"]}'));
  socket.write(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="0"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\nemail\r\n`,
  );
  await atMost(patienceMs, answered);
  if (Object.keys(told).length === 0) note(told, 'no answer before its bytes');
  socket.destroy();
  return told;
}
