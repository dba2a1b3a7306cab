// What a page owes to who cannot see it or has no mouse.

// naming: what a screen reader calls an element.
function naming(e) {
  const byId = (e.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean).map(id => spoken(document.getElementById(id))).join(" ");
  if (plain(byId)) return byId;
  if (plain(e.getAttribute("aria-label") ?? "")) return e.getAttribute("aria-label");
  if (e.labels?.length) {
    const labels = [...e.labels].map(spoken).join(" ");
    if (plain(labels)) return labels;
  }
  if (e.matches("input[type=submit], input[type=reset]") && !e.hasAttribute("value")) return e.type; // the browser's own words
  if (e.matches("input[type=submit], input[type=reset], input[type=button]")) return e.value;
  if (e.matches("input[type=image], img")) return e.alt;
  return e.matches("button, a, summary, [role=button], [role=link], [role=img]") ? spoken(e) : "";
}

// spoken: an element's text less what is hidden from screen readers.
function spoken(e) {
  if (!e || e.matches("[aria-hidden=true]")) return "";
  if (e.matches("img")) return e.alt ?? "";
  if (e.hasAttribute("aria-label")) return e.getAttribute("aria-label");
  if (e.matches("input, select, textarea, script, style")) return "";
  return [...e.childNodes].map(n => n.nodeType === Node.TEXT_NODE ? n.data : n.nodeType === Node.ELEMENT_NODE ? spoken(n) : "").join("");
}

function basics() {
  const findings = [];
  const each = (css, check) => document.querySelectorAll(css).forEach(check);
  if (!plain(document.documentElement.lang)) findings.push("html has no lang");
  if (!plain(document.title)) findings.push("the page has no title");
  const heads = [...document.querySelectorAll("h1")].filter(e => e.checkVisibility());
  if (heads.length !== 1) findings.push(`the page has ${heads.length} h1, not one`);
  each("input:not([type=hidden]), select, textarea, button, a[href], summary, [role=button], [role=link], [role=img]", e => {
    if (!plain(naming(e))) findings.push(`no name: ${where(e)}`);
  });
  each("img:not([alt])", e => findings.push(`no alt: ${where(e)} ${e.getAttribute("src")}`));
  each("[tabindex]", e => {
    if (e.tabIndex > 0) findings.push(`tabindex ${e.tabIndex}: ${where(e)}`);
  });
  const ids = new Map();
  each("[id]", e => ids.set(e.id, (ids.get(e.id) ?? 0) + 1));
  for (const [id, times] of ids) {
    if (times > 1) findings.push(`id ${id} is there ${times} times`);
  }
  each("label[for]", e => {
    if (!ids.has(e.htmlFor)) findings.push(`label for ${e.htmlFor}, which is not there: ${where(e)}`);
  });
  for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls"]) {
    each(`[${attribute}]`, e => {
      for (const id of e.getAttribute(attribute).split(/\s+/).filter(Boolean)) {
        if (!ids.has(id)) findings.push(`${attribute} names ${id}, which is not there: ${where(e)}`);
      }
    });
  }
  return findings;
}
