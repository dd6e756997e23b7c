// Serves the pages of a plan, opens them in a real Chromium, does what the plan says, and prints what it saw.
//
// Called by the test with a plan on standard input: the browser's program, hosts and where they are, pages by host and
// path, settings, and steps. Prints one JSON object: the answers of the steps, errors of pages, and bodies of calls.
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const puppeteer = require('puppeteer-core');

const plan = JSON.parse(fs.readFileSync(0, 'utf8'));

function serve() {
  const server = http.createServer((request, response) => {
    const host = (request.headers.host || '').split(':')[0];
    const where = host + new URL(request.url, 'http://x').pathname;
    const page = plan.pages[where] || plan.pages[host];
    // What a careful shop says; the script and its calls must be fine with it.
    const policy = `default-src 'none'; img-src http:; connect-src http:; script-src http: 'nonce-page'; form-action http:`;
    response.writeHead(page === undefined ? 404 : 200, {
      'content-type': 'text/html; charset=utf-8',
      ...(plan.bare ? {} : { 'content-security-policy': policy }),
    });
    response.end(page || '');
  });
  return new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(server)));
}

function profile() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crosstally-chromium-'));
  fs.mkdirSync(path.join(folder, 'Default'));
  const settings = plan.block_storage ? { cookies: 2 } : {};
  fs.writeFileSync(
    path.join(folder, 'Default', 'Preferences'),
    JSON.stringify({ profile: { default_content_setting_values: settings } }),
  );
  return folder;
}

async function step(page, one) {
  if (one.goto) return void (await page.goto(one.goto, { waitUntil: 'load', referer: one.referer }));
  if (one.eval) return page.evaluate(one.eval);
  if (one.wait) return void (await page.waitForFunction(one.wait, { timeout: 15000, polling: 20 }));
  if (one.follow) {
    await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.click(one.follow)]);
    return page.url();
  }
  if (one.cookies) return Object.fromEntries((await page.cookies(one.cookies)).map((c) => [c.name, c.domain + ' ' + c.value]));
  if (one.set_cookies) return void (await page.setCookie(...one.set_cookies));
  if (one.forget) {
    const client = await page.createCDPSession();
    await client.send('Network.clearBrowserCookies');
    await client.send('Storage.clearDataForOrigin', { origin: one.forget, storageTypes: 'all' });
    return undefined;
  }
  if (one.offline !== undefined) return void (offline = one.offline);
  throw new Error('unknown step ' + JSON.stringify(one));
}

let offline = false;

async function main() {
  const server = await serve();
  const folder = profile();
  const pages = [...new Set(Object.keys(plan.pages).map((where) => where.split('/')[0]))];
  const hosts = { ...Object.fromEntries(pages.map((host) => [host, `127.0.0.1:${server.address().port}`])), ...plan.hosts };
  // Whatever else a page asks for leaves the machine at no time.
  const rules = [...Object.entries(hosts).map(([host, where]) => `MAP ${host} ${where}`), 'MAP * ~NOTFOUND'].join(', ');
  const browser = await puppeteer.launch({
    executablePath: plan.chromium,
    headless: true,
    userDataDir: folder,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', `--host-resolver-rules=${rules}`],
  });
  const seen = { answers: [], errors: [], calls: [], requests: [] };
  try {
    const page = (await browser.pages())[0] || (await browser.newPage());
    page.on('dialog', (dialog) => seen.errors.push(dialog.message()) && dialog.dismiss());
    page.on('pageerror', (error) => seen.errors.push(String(error)));
    page.on('console', (line) => line.type() === 'error' && /Content Security Policy|Refused/.test(line.text()) && seen.errors.push(line.text()));
    if (plan.gpc) {
      // Chromium has no such setting of its own: the header and the property as browsers that have it send and show them.
      await page.evaluateOnNewDocument(() => Object.defineProperty(navigator, 'globalPrivacyControl', { value: true }));
      await page.setExtraHTTPHeaders({ 'Sec-GPC': '1' });
    }
    await page.setRequestInterception(true);
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (seen.requests.length < 1000) seen.requests.push(url.href);
      const told = url.pathname === '/e' && request.method() === 'POST';
      if (told) seen.calls.push(JSON.parse(request.postData() || '{}'));
      if (offline && told) request.abort();
      else request.continue();
    });
    for (const one of plan.steps) {
      const answer = await step(page, one).catch((error) => {
        throw new Error(`${JSON.stringify(one)}: ${error} ${JSON.stringify(seen)}`);
      });
      if (answer !== undefined) seen.answers.push(answer);
    }
  } finally {
    await browser.close();
    server.close();
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
