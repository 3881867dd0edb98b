import { createTransport } from 'nodemailer';
import { SMTPServer } from 'smtp-server';
import { expect, it } from 'vitest';
import { transportOptions } from '@/lib/platform/alerts/channels';

it.each([
  ['smtp://user:secret@mail.example:587', true],
  ['smtp://127.0.0.1@mail.example', true],
  ['smtps://user:secret@mail.example:465', undefined],
  ['smtp://127.0.0.1:2525', undefined],
])('%s: plain text is for this machine only', (url, requireTLS) => {
  expect((transportOptions(url) as { requireTLS?: boolean }).requireTLS).toBe(requireTLS);
});

it('a server that offers no encryption gets neither password nor mail', async () => {
  const heard: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    authOptional: true,
    onAuth: (auth, _, done) => {
      heard.push(String(auth.password));
      done(null, { user: 'x' });
    },
    onMailFrom: (address, _, done) => {
      heard.push(address.address);
      done();
    },
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', () => done()));
  const { port } = server.server.address() as { port: number };
  // As for a server elsewhere, which a test cannot have.
  const options = { ...transportOptions('smtp://mail.example'), url: `smtp://u:secret@127.0.0.1:${port}` };
  const transport = createTransport(options);
  await expect(
    transport.sendMail({ from: 'a@example.com', to: 'b@example.com', text: 'x' }),
  ).rejects.toThrow();
  expect(heard).toEqual([]);
  transport.close();
  await new Promise<void>((done) => server.close(() => done()));
});
