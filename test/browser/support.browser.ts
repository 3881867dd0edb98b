/** The tools of these tests notice what they are for: each on a page made to have that fault. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openChromium } from './support/chromium';
import { axeFaults, sidewaysScroll } from './support/look';
import { windowOf } from './support/window';

const HEAD = '<!doctype html><html lang="en"><head><title>A page</title></head><body><main><h1>A page</h1>';
const POLICY = "default-src 'none'; style-src 'self'; form-action 'self'";

let server: Server;
let browser: Browser;
let url: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    response.setHeader('content-security-policy', POLICY);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(HEAD + decodeURIComponent((request.url ?? '').slice(1)));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await openChromium();
});
afterAll(async () => {
  await browser?.close();
  await new Promise((done) => server.close(done));
});

const seen = async (body: string) => {
  const window = await windowOf(browser, url, 'phone', true);
  await window.page.goto(`/${encodeURIComponent(body)}`);
  await window.page.waitForLoadState('networkidle');
  const found = {
    axe: (await axeFaults(window.page)).map((fault) => fault.split(' ')[0]),
    sideways: (await sidewaysScroll(window.page)).length,
    violations: window.violations.map((v) => v.split(' ')[1]),
  };
  await window.context.close();
  return found;
};

it('finds nothing on a page without a fault', async () => {
  expect(await seen('<p>Nothing is wrong here.</p>')).toEqual({ axe: [], sideways: 0, violations: [] });
});

it('finds a picture without words and a field without a name', async () => {
  const { axe } = await seen('<img src="/x.png"><input>');
  expect(axe.sort()).toEqual(['image-alt', 'label']);
});

it('finds what the content policy refuses: an attribute of style, a script, and a form to another site, after the page has gone', async () => {
  expect((await seen('<p style="color: red">red</p>')).violations).toEqual(['style-src-attr']);
  expect((await seen('<script>1</script>')).violations).toEqual(['script-src-elem']);
  const window = await windowOf(browser, url, 'light', true);
  await window.page.goto(
    `/${encodeURIComponent('<form action="http://localhost:9" method="post"><button>Go</button></form>')}`,
  );
  await window.page.getByRole('button').dispatchEvent('click');
  await expect.poll(() => window.violations.map((v) => v.split(' ')[1])).toEqual(['form-action']);
  await window.page.goto('/');
  expect(window.violations).toHaveLength(1);
  await window.context.close();
});

it('finds what is wider than a phone', async () => {
  expect((await seen(`<table><tr><td>${'wide'.repeat(200)}</td></tr></table>`)).sideways).toBeGreaterThan(1);
});
