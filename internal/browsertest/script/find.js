// Which element a selector means, and what is in the way of using it. A
// function that is asked until nothing is in the way answers "" then, and a
// reason in words until then.

// all: the elements of a selector; behind " >> " is what they must read.
function all(selector) {
  const [css, ...text] = selector.split(" >> ");
  const found = [...document.querySelectorAll(css)];
  return text.length ? found.filter(e => reads(e, text.join(" >> "))) : found;
}

function plain(text) { return text.replace(/\s+/g, " ").trim(); }

function shown(e) {
  if (e.matches("input, textarea")) return e.value;
  if (e.matches("select")) return [...e.selectedOptions].map(o => o.text).join(", ");
  return e.innerText ?? e.textContent;
}

function reads(e, text) { return plain(shown(e)).includes(plain(text)); }

function visible(e) {
  return e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) &&
    [...e.getClientRects()].some(r => r.width > 0 && r.height > 0);
}

// called: an element by id, or by its class, or by what it reads.
function called(e) {
  let name = e.localName;
  if (e.id) return name + "#" + e.id;
  if (e.getAttribute("name")) name += `[name=${e.getAttribute("name")}]`;
  name += [...e.classList].map(c => "." + c).join("");
  const text = plain(e.textContent ?? "");
  return text && !e.matches("html, body") ? name + " “" + (text.length > 40 ? text.slice(0, 40) + "…" : text) + "”" : name;
}

function where(e) {
  const names = [called(e)];
  for (let up = e.parentElement; up && up !== document.body && names.length < 3; up = up.parentElement) {
    names.unshift(up.id ? up.localName + "#" + up.id : up.localName + [...up.classList].map(c => "." + c).join(""));
    if (up.id) break;
  }
  return names.join(" > ");
}

function missing(selector) {
  const found = all(selector);
  if (!found.length) return "it is not there";
  return found.some(visible) ? "" : "it is not visible";
}

function unread(selector, text) {
  const why = missing(selector);
  if (why) return why;
  const seen = all(selector).filter(visible);
  return seen.some(e => reads(e, text)) ? "" : "it reads " + JSON.stringify(plain(shown(seen[0])).slice(0, 400));
}

function present(selector) {
  const still = all(selector).filter(visible);
  return still.length ? "it is still there: " + where(still[0]) : "";
}

function count(selector) { return all(selector).length; }

function text(selector) {
  const e = all(selector)[0];
  return e ? shown(e) : null;
}

function html(selector) {
  const e = all(selector)[0];
  return e ? e.outerHTML : null;
}

function address() { return location.href; }

function focused() {
  return document.activeElement ? called(document.activeElement) : "";
}

// usable: the first visible element, scrolled to, or why there is none.
function usable(selector) {
  const why = missing(selector);
  if (why) return { why };
  const e = all(selector).find(visible);
  if (e.matches(":disabled")) return { why: "it is disabled" };
  return { e };
}

function target(selector) {
  const { why, e } = usable(selector);
  if (why) return { why };
  let box = middle(e);
  if (box.x < 0 || box.y < 0 || box.x >= innerWidth || box.y >= innerHeight || covering(e, box)) {
    e.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    box = middle(e);
  }
  const over = covering(e, box);
  return over ? { why: over } : { why: "", x: box.x, y: box.y };
}

// middle of the first line of an element, for a link that spans several.
function middle(e) {
  const r = [...e.getClientRects()].find(r => r.width > 0 && r.height > 0) ?? e.getBoundingClientRect();
  return { x: r.x + r.width / 2, y: r.y + r.height / 2 };
}

function covering(e, at) {
  const top = document.elementFromPoint(at.x, at.y);
  if (!top) return "it is outside the window";
  // A click on what a label says goes to its field.
  if (e.contains(top) || top.closest("label")?.control === e) return "";
  return "it is covered by " + where(top);
}

// fill: puts the value where no keyboard does, or prepares the field for the
// keyboard: focused, and all that is in it selected.
function fill(selector, text) {
  const { why, e } = usable(selector);
  if (why) return { why };
  const tell = () => ["input", "change"].forEach(type => e.dispatchEvent(new Event(type, { bubbles: true })));
  if (e.matches("select")) {
    const option = [...e.options].find(o => plain(o.text) === plain(text)) ?? [...e.options].find(o => o.value === text);
    if (!option) return { why: `it has no option ${JSON.stringify(text)}, but ${JSON.stringify([...e.options].map(o => plain(o.text)))}` };
    e.focus();
    option.selected = true;
    tell();
    return { why: "" };
  }
  if (!e.matches("input, textarea") || e.matches("[type=checkbox], [type=radio], [type=file], [type=submit], [type=button]")) {
    return { why: "it is no field for text: " + where(e) };
  }
  if (e.readOnly) return { why: "it is read-only" };
  e.scrollIntoView({ block: "center", behavior: "instant" });
  e.focus();
  if (e.matches("[type=date], [type=time], [type=datetime-local], [type=month], [type=week], [type=color], [type=range]")) {
    e.value = text;
    if (e.value !== text) return { why: `it does not take ${JSON.stringify(text)}` };
    tell();
    return { why: "" };
  }
  e.select();
  return { why: "", type: true };
}

function unlike(selector, text) {
  const e = all(selector).find(visible);
  return e?.value === text ? "" : `it reads ${JSON.stringify(e?.value)} then`;
}
