// The browser script: tells page views and the page's own events, keeps the click's id and the id of its first action,
// and hands that id to the page's pixels. What it decides is little: cookies, clicks and domains are decided by the server.
//
// It never throws into the page, needs no eval and no inline code, and included twice it runs once.

import { adClickIds } from "./ids";

type Fields = Record<string, unknown>;

interface Told {
  name: string;
  event_id: string;
  page: string;
  at: number;
  transaction_id?: string;
  fields: Fields;
}

/** What is kept between pages. */
interface State {
  /** The click's id. */
  c?: string;
  /** The id of the first action. */
  e?: string;
  /** The ids of orders. */
  o?: Record<string, string>;
  /** When a visit without a click began, and bytes of its own. */
  v?: { at: number; id: string };
  /** The ad click that it began with. */
  a?: string;
  /** The domain of the cookies. */
  d?: string;
  /** What could not be told yet. */
  q?: Told[];
}

interface Answer {
  click_id: string;
  domain: string;
  fbc: string | null;
  fbp: string | null;
}

const w = window as unknown as Record<string, any>;
const doc = document;
const KEY = "_xt";

function start(): void {
  const before = w.crosstally;
  if (before && before.track) return;
  const script = doc.currentScript as HTMLScriptElement;
  const given = (name: string): string => script.getAttribute("data-" + name) || "";
  const door = new URL("e", script.src).href;
  const campaign = given("campaign");
  const param = given("param") || "click_id";
  const ask = given("consent") === "ask";
  const domains = given("domains").toLowerCase().split(/[\s,]+/).filter(Boolean);
  const gpc = (navigator as any).globalPrivacyControl === true;

  let state: State = {};
  let consent: Record<string, string> = {};
  let loaded = false;
  let busy = false;
  let last = "";

  const guard = <A extends unknown[], R>(work: (...a: A) => R) => (...a: A): R | undefined => {
    try {
      return work(...a);
    } catch (_) {
      return undefined;
    }
  };
  const attempt = <R>(work: () => R): R | undefined => guard(work)();
  const isDenied = (): boolean => consent.ad_user_data === "denied";
  const isAllowed = (): boolean => !isDenied() && (!ask || consent.ad_user_data === "granted");

  const random = (bytes: number): string => {
    const all = new Uint8Array(bytes);
    attempt(() => crypto.getRandomValues(all));
    return Array.from(all, (byte) => (byte + 256).toString(16).slice(1)).join("");
  };

  const cookie = (name: string): string =>
    attempt(() => doc.cookie.split("; ").filter((pair) => pair.indexOf(name + "=") === 0)[0].slice(name.length + 1)) || "";

  const setCookie = (name: string, value: string, seconds: number): void => {
    const domain = state.d && state.d.indexOf(".") > 0 && !/^[\d.]+$|:/.test(state.d) ? ";domain=" + state.d : "";
    const secure = location.protocol === "https:" ? ";secure" : "";
    attempt(() => {
      doc.cookie = `${name}=${value};path=/;max-age=${seconds};samesite=lax${domain}${secure}`;
    });
  };

  const save = (): void => {
    if (!isAllowed()) return;
    attempt(() => localStorage.setItem(KEY, JSON.stringify(state)));
    // Without the domain the cookie would stand beside the one that the whole site shares.
    if (state.c && state.d) setCookie(KEY, state.c + "." + (state.e || ""), 7776000);
  };

  const forget = (): void => {
    attempt(() => localStorage.removeItem(KEY));
    [KEY, "_fbc", "_fbp"].forEach((name) => setCookie(name, "", 0));
    state = { c: state.c, e: state.e, o: state.o, d: state.d };
  };

  /** Takes up what was kept; not before it may be. */
  const load = (): void => {
    if (loaded || !isAllowed()) return;
    loaded = true;
    const fresh = state;
    const kept: State = attempt(() => JSON.parse(localStorage.getItem(KEY) as string)) || {};
    const [click, first] = cookie(KEY).split(".");
    // Another host of the site may have seen a later click.
    const known = click && click !== kept.c ? { c: click, d: kept.d, q: kept.q } : kept;
    state = { ...known, e: (known as State).e || first || undefined };
    if (fresh.c || fresh.a) arrive(fresh.c, fresh.a);
    // An id that a pixel has already stays.
    state.e = fresh.e || state.e;
    state.o = { ...state.o, ...fresh.o };
    state.q = (state.q || []).concat(fresh.q || []).slice(-50);
  };

  /** A page that was reached with a click, ours or an ad's, begins anew. */
  const arrive = (click?: string, ad?: string): void => {
    if (click ? click !== state.c : ad && ad !== state.a) state = { c: click, d: state.d, q: state.q };
    if (ad) state.a = ad;
  };

  const look = (): void => {
    let click: string | undefined;
    let ad: string | undefined;
    new URLSearchParams(location.search).forEach((value, name) => {
      const lower = name.toLowerCase();
      if ([param, "click_id", "cid"].indexOf(lower) >= 0 && /^[0-7][0-9a-hjkmnp-tv-z]{25}$/i.test(value)) click = click || value;
      if (value && adClickIds.indexOf("," + lower + ",") >= 0) ad = ad || lower + "=" + value;
    });
    arrive(click, ad);
  };

  const looks = (name?: string): boolean => ["PageView", "ViewContent", "Consent"].indexOf(name as string) >= 0;

  const id = (name?: string, order?: unknown): string => {
    if (looks(name)) return random(16);
    load();
    const first = (): string => (state.e = state.e || random(16));
    let made: string;
    if (order) {
      const orders = (state.o = state.o || {});
      const many = Object.keys(orders);
      if (many.length > 20) delete orders[many[1]];
      // The first order has the id of the first action, each further one its own.
      made = orders["" + order] = orders["" + order] || (many.length ? random(16) : first());
    } else made = first();
    save();
    return made;
  };

  const track = (name: string, fields?: Fields): string => {
    const { event_id, transaction_id, order_id, ...rest } = fields || ({} as Fields);
    const order = transaction_id || order_id;
    const event: Told = {
      name: "" + name,
      event_id: "" + (event_id || id(name, order)),
      page: location.href,
      at: Date.now(),
      fields: rest,
    };
    if (order) event.transaction_id = "" + order;
    if (!isDenied()) {
      state.q = (state.q || []).concat(event).slice(-50);
      save();
      setTimeout(flush);
    }
    return event.event_id;
  };

  const body = (events: Told[], more: Fields): string =>
    JSON.stringify({
      campaign,
      click_id: state.c || "",
      gpc,
      consent,
      ...more,
      events: events.map(({ at, ...event }) => ({ ...event, age_ms: Math.max(0, Date.now() - at) })),
    });

  const whole = (events: Told[]): string => {
    if (!state.c) state.v = state.v || { at: Date.now(), id: random(7) };
    return body(events, {
      visit: state.v,
      page: location.href,
      referrer: doc.referrer,
      keep: state.e || "",
      fbc: gpc ? "" : cookie("_fbc"),
      fbp: gpc ? "" : cookie("_fbp"),
    });
  };

  const done = (events: Told[]): void => {
    state.q = (state.q || []).filter((one) => !events.some((other) => other.at === one.at && other.event_id === one.event_id));
  };

  const flush = guard((): void => {
    load();
    const events = (state.q || []).slice(0, 20);
    if (!loaded || busy || !events.length || !isAllowed()) return;
    busy = true;
    const text = whole(events);
    const [fbc, fbp] = [cookie("_fbc"), cookie("_fbp")];
    const began = state.a;
    save();
    fetch(door, { method: "POST", body: text, keepalive: text.length < 60000, credentials: "include" })
      .then((answer) => {
        if (answer.ok) return answer.json();
        // What is refused for good would be refused again; anything else is tried on the next page.
        if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) done(events);
        throw 0;
      })
      .then((told: Answer) => {
        done(events);
        busy = false;
        if (!isAllowed()) return;
        if (began === state.a) state.c = told.click_id;
        delete state.v;
        state.d = told.domain;
        save();
        // A pixel may have written its own meanwhile: that one counts.
        if (told.fbc && told.fbc !== fbc && cookie("_fbc") === fbc) setCookie("_fbc", told.fbc, 7776000);
        if (told.fbp && told.fbp !== fbp && cookie("_fbp") === fbp) setCookie("_fbp", told.fbp, 7776000);
        flush();
      })
      .catch(() => {
        busy = false;
        save();
      });
  });

  const leave = guard((): void => {
    const events = (state.q || []).slice(0, 20);
    // It stays in the queue: whether it arrived is told on the next page only.
    if (loaded && !busy && events.length && isAllowed()) navigator.sendBeacon(door, whole(events));
  });

  const tellConsent = (said: Record<string, string>): void => {
    const was = isDenied();
    consent = { ...consent, ...said };
    if (isAllowed()) {
      load();
      save();
      // Who has allowed it again is no longer held back.
      if (was) track("Consent");
      flush();
    } else if (isDenied() && !was) {
      forget();
      // Nothing but the word itself, so that what comes from servers is held back as well.
      if (state.c)
        fetch(door, {
          method: "POST",
          body: body([{ name: "Consent", event_id: random(16), page: "", at: Date.now(), fields: {} }], {}),
          keepalive: true,
          credentials: "omit",
        }).catch(() => 0);
    }
  };

  const isOwn = (url: URL): boolean =>
    domains.some((domain) => url.hostname === domain || url.hostname.slice(-domain.length - 1) === "." + domain);

  const decorate = (address: string): string | undefined => {
    const url = new URL(address, location.href);
    if (!state.c || !isAllowed() || !/^https?:$/.test(url.protocol) || !isOwn(url)) return undefined;
    url.searchParams.set(param, state.c);
    return url.href;
  };

  const followed = guard((event: Event): void => {
    const link = (event.target as Element).closest("a[href],area[href]") as HTMLAnchorElement | null;
    const href = link && decorate(link.href);
    if (href) link.href = href;
  });

  const submitted = guard((event: Event): void => {
    const form = event.target as HTMLFormElement;
    const action = form.getAttribute("action") || location.href;
    const href = decorate(action);
    if (!href) return;
    if (form.method === "get") {
      let field = form.querySelector(`input[name="${param}"]`) as HTMLInputElement | null;
      if (!field) {
        field = doc.createElement("input");
        field.type = "hidden";
        field.name = param;
        form.appendChild(field);
      }
      field.value = state.c as string;
    } else form.setAttribute("action", href);
  });

  const viewed = guard((): void => {
    const here = location.pathname + location.search;
    if (here === last) return;
    last = here;
    look();
    track("PageView");
  });

  const api: Record<string, unknown> = {
    track: guard(track),
    id: guard(id),
    consent: guard(tellConsent),
    click: (): string | undefined => state.c,
    push: guard((item: unknown): void => {
      if (typeof item === "function") item(api);
      else if (Array.isArray(item)) (api[item[0]] as (...a: unknown[]) => void)(...item.slice(1));
    }),
  };
  w.crosstally = api;

  look();
  load();
  viewed();
  if (Array.isArray(before)) before.forEach(api.push as (item: unknown) => void);

  const push = history.pushState;
  history.pushState = function (this: History, ...a: Parameters<typeof push>) {
    const answer = push.apply(this, a);
    viewed();
    return answer;
  };
  addEventListener("popstate", viewed);
  addEventListener("pagehide", leave);
  doc.addEventListener("visibilitychange", () => doc.visibilityState === "hidden" && leave());
  doc.addEventListener("click", followed, true);
  doc.addEventListener("auxclick", followed, true);
  doc.addEventListener("submit", submitted, true);
}

try {
  start();
} catch (_) {
  // The page goes on without us.
}
