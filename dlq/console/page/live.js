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

  // morph makes one element like another and leaves alone what is the same, so
  // that focus, ticks and a click under way survive.
  function morph(from, to) {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== Node.ELEMENT_NODE || from.nodeName !== to.nodeName || from.id !== to.id) {
      from.replaceWith(to.cloneNode(true));
      return;
    }
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    const old = [...from.childNodes];
    [...to.childNodes].forEach((node, i) => old[i] ? morph(old[i], node) : from.append(node.cloneNode(true)));
    old.slice(to.childNodes.length).forEach((node) => node.remove());
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
