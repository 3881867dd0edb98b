/** A mail server of this process: takes what is sent to it and keeps it, or is away, refuses, or drops the line before it answers. */
import { SMTPServer } from 'smtp-server';

export interface Mail {
  readonly to: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly html: string;
}

type Behavior = 'take' | 'refuse' | 'busy' | 'lost';

export interface Mailbox {
  readonly url: string;
  readonly mails: Mail[];
  /** `lost`: takes the mail and breaks the line before it says so. `busy`: takes no mail now. To one address only, or to all. */
  behave(how: Behavior, only?: string): void;
  close(): Promise<void>;
}

/** `port` 0: any that is free. */
export async function mailbox(port = 0): Promise<Mailbox> {
  const mails: Mail[] = [];
  let [behavior, of]: [Behavior, string | undefined] = ['take', undefined];
  const isSo = (how: Behavior, to: string) => behavior === how && (of === undefined || of === to);
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onRcptTo: ({ address }, _, done) => {
      const code = isSo('refuse', address) ? 550 : isSo('busy', address) ? 421 : null;
      done(code === null ? null : Object.assign(new Error('not now, or never'), { responseCode: code }));
    },
    onData: (stream, session, done) => {
      const parts: Buffer[] = [];
      stream.on('data', (piece: Buffer) => parts.push(piece));
      stream.on('end', () => {
        const to = session.envelope.rcptTo.map((r) => r.address).join();
        mails.push(read(to, Buffer.concat(parts).toString()));
        if (isSo('lost', to)) connectionOf(server, session.id)?.destroy();
        else done();
      });
    },
  });
  server.on('error', () => {});
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', () => done()));
  const at = (server.server.address() as { port: number }).port;
  return {
    url: `smtp://127.0.0.1:${at}`,
    mails,
    behave: (how, only) => {
      [behavior, of] = [how, only];
    },
    close: () => new Promise((done) => server.close(() => done())),
  };
}

interface Connected {
  readonly connections: Iterable<{ readonly id: string; readonly _socket: { destroy(): void } }>;
}
const connectionOf = (server: unknown, id: string) =>
  [...(server as Connected).connections].find((c) => c.id === id)?._socket;

function read(to: string, raw: string): Mail {
  const [head, body] = halves(raw);
  const headers = headersOf(head);
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type'] ?? '')?.[1];
  const parts = boundary ? body.split(`--${boundary}`).slice(1, -1) : [raw];
  const part = (type: string): string => {
    const found = parts
      .map((p) => halves(p.trimStart()))
      .find(([h]) => headersOf(h)['content-type']?.startsWith(type));
    const text = found ? decoded(found[1], headersOf(found[0])['content-transfer-encoding']) : '';
    return text.replace(/\r\n/g, '\n');
  };
  return { to, headers, text: part('text/plain'), html: part('text/html') };
}

function halves(text: string): [string, string] {
  const at = text.indexOf('\r\n\r\n');
  return [text.slice(0, at), text.slice(at + 4)];
}

const headersOf = (head: string): Record<string, string> =>
  Object.fromEntries(
    head
      .replace(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
  );

function decoded(body: string, encoding = '7bit'): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString();
  if (encoding !== 'quoted-printable') return body;
  const bytes = body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
