// Brings the parts of a page that change, while it is seen, and takes personal
// values away when it is left. Everything else works without this script.
"use strict";
(() => {
  // A browser may keep a page as it was left and show it again without asking
  // the console. A reload hides the values, too.
  const veiled = document.body.dataset.veiled;
  if (!veiled) return;
  history.replaceState(null, "", veiled);
  addEventListener("pagehide", () => document.getElementById("main").replaceChildren());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
(() => {
  const address = document.body.dataset.live;
  const parts = document.getElementById("parts");
  const lost = document.getElementById("lost"); // the console is away
  const crowded = document.getElementById("crowded"); // it has no place for this page
  if (!address || !parts) return;
  let source = null; // that tells of changes
  let asking = null; // why there is none
  let timer = 0; // of what is done next: never two things
  let doubt = 0;
  let heard = Date.now(); // when the page was as things are
  let ended = false;
  const quiet = Number(document.body.dataset.silence); // milliseconds

  // key is by what an element is known, wherever it stands among its like.
  const key = (node) => node.id || node.dataset?.key || "";

  // morph makes one element like another and leaves alone what is the same, so
  // that focus, ticks and a click under way survive.
  function morph(from, to) {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== Node.ELEMENT_NODE || from.nodeName !== to.nodeName || key(from) !== key(to)) {
      from.replaceWith(to.cloneNode(true));
      return;
    }
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    const wanted = new Set([...to.children].map(key));
    for (const child of [...from.children]) if (!wanted.has(key(child))) child.remove();
    let at = from.firstChild;
    for (const node of to.childNodes) at = place(from, at, node);
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  // place lets a node stand before the others from at on, which are still to be
  // looked at, and returns the first of those. Of two that change places the
  // one with the focus stays: what is moved loses it.
  function place(parent, at, node) {
    const known = key(node) && [...parent.children].find((child) => key(child) === key(node));
    while (known && at && at !== known && (!key(at) || known.contains(document.activeElement))) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    if (known && known !== at) parent.insertBefore(known, at);
    const old = known || (at && !key(at) ? at : null);
    if (!old) {
      parent.insertBefore(node.cloneNode(true), at);
      return at;
    }
    const next = old.nextSibling;
    morph(old, node);
    return known && known !== at ? at : next;
  }

  function listen() {
    if (source || ended || document.hidden) return;
    rest();
    source = new EventSource(address);
    awaitLife();
    // Of a page that was hidden for long a silent console is told sooner.
    if (Date.now() - heard > quiet) doubt = setTimeout(() => { lost.hidden = false; }, 3000);
    source.addEventListener("open", seen);
    source.addEventListener("parts", (message) => {
      const fresh = new DOMParser().parseFromString('<div id="parts"></div>', "text/html").body.firstChild;
      fresh.innerHTML = message.data;
      morph(parts, fresh);
      seen();
    });
    source.addEventListener("alive", seen);
    source.addEventListener("ended", () => { ended = true; rest(); });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) refused();
      else lost.hidden = false;
    });
  }

  // seen notes a sign of life, which comes every 15 seconds at least.
  function seen() {
    clearTimeout(doubt);
    heard = Date.now();
    lost.hidden = crowded.hidden = true;
    awaitLife();
  }

  // awaitLife looks out for the next sign, or the first. A console that is cut
  // off without a word would leave old figures standing; it may be back on
  // another connection, while this one stays silent.
  function awaitLife() {
    clearTimeout(timer);
    timer = setTimeout(() => { lost.hidden = false; rest(); listen(); }, quiet);
  }

  // refused asks why the console does not tell of changes: this browser is
  // logged out, the page is of the past, too many are open, or it will again in
  // a while.
  async function refused() {
    rest();
    const mine = asking = new AbortController();
    timer = setTimeout(() => mine.abort(), quiet);
    let status = 0;
    try {
      status = (await fetch(address, { signal: mine.signal })).status;
    } catch { /* the console is away */ }
    if (asking !== mine) return; // the page was hidden meanwhile, and may listen again
    rest();
    if (status === 401 || status === 204) { location.reload(); return; }
    crowded.hidden = status !== 429;
    lost.hidden = status === 429 || status === 200;
    timer = setTimeout(listen, status === 200 ? 1000 : 10000);
  }

  // rest ends what is under way and frees the connection: a browser has few of
  // them for all its tabs.
  function rest() {
    clearTimeout(timer);
    clearTimeout(doubt);
    if (asking) asking.abort();
    if (source) source.close();
    asking = source = null;
  }

  document.addEventListener("visibilitychange", () => document.hidden ? rest() : listen());
  addEventListener("pagehide", rest);
  addEventListener("pageshow", listen);
  listen();
})();
