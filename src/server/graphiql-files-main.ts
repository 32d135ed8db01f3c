import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  css,
  editorWorkerService,
  graphqlWorker,
  js,
  jsonWorker,
} from '@graphql-yoga/render-graphiql/graphiql';
import type { GraphiqlFile, GraphiqlFiles } from './graphiql.ts';

const OPTIONS = {
  title: 'Cohort Sync',
  // By WebSocket it would not send the headers, and with them the token.
  subscriptionsProtocol: 'SSE',
  headers: '{ "authorization": "Bearer <token>" }',
  defaultQuery:
    '# Put your token into Headers below.\n{\n  viewer {\n    role\n    project {\n      name\n    }\n  }\n}\n',
};

const workers = {
  editorWorkerService: compress('editor', editorWorkerService),
  json: compress('json', jsonWorker),
  graphql: compress('graphql', graphqlWorker),
};

// The workers lie beside this script, wherever a proxy has put it.
const before = `{
  const here = document.currentScript.src;
  const workers = ${JSON.stringify(Object.fromEntries(Object.entries(workers).map(([label, { name }]) => [label, name])))};
  self.MonacoEnvironment = { globalAPI: false, getWorkerUrl: (_, label) => new URL(workers[label], here).href };
}
`;
// The page asks for the schema when it opens, before it has a token, and never again by itself. Ctrl-Shift-R is its own key for that.
const after = `;{
  let token, waiting;
  const askForSchema = (tries) => {
    window.dispatchEvent(new KeyboardEvent('keydown', { key: 'R', ctrlKey: true, shiftKey: true }));
    if (tries > 1) waiting = setTimeout(askForSchema, 5_000, tries - 1);
  };
  const onSchemaChange = () => clearTimeout(waiting);
  const readToken = (headers) => {
    try {
      return Object.entries(JSON.parse(headers)).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
    } catch {
      // Typed halfway, it is no JSON yet.
      return undefined;
    }
  };
  const onEditHeaders = (headers) => {
    const given = readToken(headers);
    if (typeof given !== 'string' || given === token) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      token = given;
      askForSchema(5);
    }, 300);
  };
  YogaGraphiQL.renderYogaGraphiQL(document.querySelector('#root'), { ...${JSON.stringify(OPTIONS)}, onEditHeaders, onSchemaChange });
}
`;

const files: GraphiqlFiles = {
  script: compress('graphiql', before + js + after),
  style: compress('graphiql', css, 'css'),
  workers: Object.values(workers),
};
process.stdout.write(JSON.stringify(files));

function compress(stem: string, text: string, ending: 'js' | 'css' = 'js'): GraphiqlFile {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return {
    name: `${stem}-${hash}.${ending}`,
    type: ending === 'js' ? 'text/javascript' : 'text/css',
    content: gzipSync(text, { level: 9 }).toString('base64'),
  };
}
