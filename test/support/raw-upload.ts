import { IMPORT } from './import-file.ts';
import { headOf, openRaw, type RawCaller } from './raw-http.ts';

const BOUNDARY = 'a-boundary';

/** A part of a multipart body, up to its content. */
export const partOf = (name: string, content: string, filename?: string) =>
  `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${filename ? `; filename="${filename}"` : ''}\r\n\r\n${content}`;

export const operationsOf = (query: string = IMPORT, input: object = { name: 'Trial', file: null }) =>
  JSON.stringify({ query, variables: { input } });

export const MAP = '{"0":["variables.input.file"]}';

/** What a client sends first of an upload, up to the beginning of the file. */
export const startOf = ({ operations = operationsOf(), map = MAP } = {}) => [
  partOf('operations', operations),
  partOf('map', map),
  partOf('0', 'email\na@example.com\n', 'people.csv'),
];

/** An upload whose body has no end unless end() is called. */
export async function openUpload(
  url: string,
  secret: string,
  parts: string[],
): Promise<RawCaller & { sendMore(text: string): void; end(): void }> {
  const caller = await openRaw(url);
  const sendMore = (text: string) => caller.send(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
  caller.send(
    headOf('/graphql', {
      authorization: `Bearer ${secret}`,
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'transfer-encoding': 'chunked',
    }),
  );
  sendMore(parts.join('\r\n'));
  return Object.assign(caller, {
    sendMore,
    end() {
      sendMore(`\r\n--${BOUNDARY}--\r\n`);
      caller.send('0\r\n\r\n');
    },
  });
}
