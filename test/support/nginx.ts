import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** An nginx of this machine; undefined where there is none. */
export const nginxPath = [
  process.env.NGINX_PATH,
  '/usr/sbin/nginx',
  '/usr/bin/nginx',
  '/usr/local/bin/nginx',
  '/opt/homebrew/bin/nginx',
].find((path) => path !== undefined && existsSync(path));
/** Its tests are left out where it is missing, but not in CI, which installs it. */
export const lacksNginx = nginxPath === undefined && process.env.CI === undefined;

const PLAIN = 'server { listen 80; location /cohorts/ { proxy_pass http://127.0.0.1:4000/; } }';

/** nginx with the configuration that docs/running.md gives, but for the ports; or one that knows nothing of us. */
export async function startNginx(target: string, { plain = false } = {}) {
  const page = await readFile(resolve(import.meta.dirname, '../../docs/running.md'), 'utf8');
  const given = plain ? PLAIN : /```nginx\n(.+?)```/s.exec(page)![1]!;
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'nginx-'));
  // Started as root, nginx works as somebody else.
  await chmod(directory, 0o755);
  const block = replaceOnce(given, 'listen 80;', `listen 127.0.0.1:${port};`);
  await writeFile(
    join(directory, 'nginx.conf'),
    `pid nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  ${replaceOnce(block, 'http://127.0.0.1:4000/', `${target}/`)}
}`,
  );
  const args = ['-p', directory, '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off;'];
  const nginx = spawn(nginxPath!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(nginx, 'close');
  await new Promise<void>((up, reject) => {
    let words = '';
    nginx.stderr.setEncoding('utf8').on('data', (text: string) => {
      words += text;
      if (words.includes('start worker process')) up();
    });
    ended.then(() => reject(new Error(`nginx did not start: ${words}`)));
  });
  return {
    /** Where the service is shown. */
    url: `http://127.0.0.1:${port}/cohorts`,
    async [Symbol.asyncDispose]() {
      nginx.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true });
    },
  };
}

function replaceOnce(text: string, given: string, wanted: string): string {
  if (text.split(given).length !== 2) throw new Error(`The configuration has no single "${given}".`);
  return text.replace(given, wanted);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
