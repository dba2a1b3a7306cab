// Brings the parts of a page that change, while it is seen. Everything else
// works without this script.
"use strict";
(() => {
  const address = document.body.dataset.live;
  const parts = document.getElementById("parts");
  const lost = document.getElementById("lost");
  if (!address || !parts) return;
  let source = null;
  let ended = false;

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
    source = new EventSource(address);
    source.addEventListener("open", () => { lost.hidden = true; });
    source.addEventListener("parts", (message) => {
      const fresh = new DOMParser().parseFromString('<div id="parts"></div>', "text/html").body.firstChild;
      fresh.innerHTML = message.data;
      morph(parts, fresh);
    });
    source.addEventListener("ended", () => { ended = true; rest(); });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) { location.reload(); return; } // logged out, as a rule
      lost.hidden = false;
    });
  }

  // rest frees the connection: a browser has few of them for all its tabs.
  function rest() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => document.hidden ? rest() : listen());
  addEventListener("pagehide", rest);
  addEventListener("pageshow", listen);
  listen();
})();
