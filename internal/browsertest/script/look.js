// What a person sees: contrast of texts, and what sticks out of the screen.

// colour: a computed colour as [red, green, blue, alpha], 0 to 255 and alpha 0
// to 1, whatever its notation.
function colour(text) {
  const [, kind, inside] = text.match(/^(rgba?|color)\((?:srgb )?([^)]*)\)$/) ?? [];
  const numbers = inside?.split(/[\s,/]+/).map(Number);
  if (numbers && numbers.every(n => !isNaN(n))) {
    const scale = kind === "color" ? 255 : 1;
    return [...numbers.slice(0, 3).map(n => n * scale), numbers[3] ?? 1];
  }
  // Other notations are drawn, opaque: a drop of paint would be rounded.
  const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  brush.fillStyle = text.replace(/\s*\/[^/)]*\)$/, ")");
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data.slice(0, 3), Number(text.match(/\/\s*([\d.]+)\)$/)?.[1] ?? 1)];
}

// over: the opaque colour that is seen where a colour lies on an opaque one.
function over(top, below, opacity = 1) {
  const alpha = (top[3] ?? 1) * opacity;
  return [0, 1, 2].map(i => top[i] * alpha + below[i] * (1 - alpha));
}

// https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
function luminance(c) {
  const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
function ratio(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

// canvas: what is behind the page.
function canvas() {
  const probe = document.createElement("i");
  probe.style.color = "Canvas"; // as the root's colour scheme has it
  document.documentElement.append(probe);
  const found = colour(getComputedStyle(probe).color);
  probe.remove();
  return found;
}

// backgrounds: the layers, from below, that an element's own background may
// have at a place of it, and whether there is a picture that nobody can judge.
function backgrounds(style) {
  const base = colour(style.backgroundColor);
  const image = style.backgroundImage;
  if (image === "none") return { choices: [[base]], picture: false };
  const picture = /url\(|image-set\(|element\(/.test(image) &&
    (!/^no-repeat(, no-repeat)*$/.test(style.backgroundRepeat) || /cover|100%/.test(style.backgroundSize));
  const stops = image.includes("gradient(") ? image.match(/(rgba?|color|oklch|oklab|lab|lch|hsla?|hwb)\([^()]*\)/g) ?? [] : [];
  return { choices: stops.length ? stops.map(stop => [base, colour(stop)]) : [[base]], picture };
}

// worst: the lowest contrast that a text's colour has, in the innermost of the
// styles, on what is behind it, as { ratio, text, back, picture }.
function worst(styles, letters) {
  let found = { ratio: Infinity };
  let picture = false;
  // What is seen of the text and of its background at a depth, over what is
  // below; an opacity blends both with that.
  const descend = (i, below, finish) => {
    const own = backgrounds(styles[i]);
    const opacity = Number(styles[i].opacity);
    const outward = (text, back) => finish(over(text, below, opacity), over(back, below, opacity));
    picture ||= own.picture;
    for (const layers of own.choices) {
      const back = layers.reduce((under, layer) => over(layer, under), below);
      if (i === styles.length - 1) outward(over(letters, back), back);
      else descend(i + 1, back, outward);
    }
  };
  descend(0, canvas(), (text, back) => {
    const r = ratio(text, back);
    if (r < found.ratio) found = { ratio: r, text, back };
  });
  return { ...found, picture };
}

function ancestry(e) {
  const chain = [];
  for (; e; e = e.parentElement) chain.unshift(getComputedStyle(e));
  return chain;
}

// judge: tells when a text of this colour is too faint in the innermost of the
// styles.
function judge(name, text, styles, letters, findings) {
  const found = worst(styles, letters);
  const px = parseFloat(styles.at(-1).fontSize);
  const need = px >= 24 || px >= 18.66 && Number(styles.at(-1).fontWeight) >= 700 ? 3 : 4.5;
  const hex = c => "#" + c.map(v => Math.round(v).toString(16).padStart(2, "0")).join("");
  const quote = plain(text).slice(0, 40);
  if (found.picture) findings.add(`contrast: ${name}: “${quote}” lies on a picture, which cannot be judged`);
  // Rounded down: 4.499 is not 4.5.
  if (found.ratio < need) {
    findings.add(`contrast ${(Math.floor(found.ratio * 100) / 100).toFixed(2)}, ${need} needed: ${name}: “${quote}” is ${hex(found.text)} on ${hex(found.back)}`);
  }
}

// readable: is this text for eyes at all? Not what is left to screen readers
// only, and not what is off.
function readable(e) {
  if (!visible(e) || e.closest("script, style, noscript, template, option, svg title")) return false;
  if (e.closest(":disabled, [aria-disabled=true]") || e.closest("label")?.control?.disabled) return false;
  for (let up = e; up; up = up.parentElement) {
    const style = getComputedStyle(up);
    const box = up.getBoundingClientRect();
    const clipped = style.overflowX !== "visible" && (box.width <= 1 || box.height <= 1);
    if (clipped || style.clipPath === "inset(50%)" || style.position === "absolute" && /^rect\(0px,? 0px,? 0px,? 0px\)|^rect\(1px/.test(style.clip)) return false;
  }
  return true;
}

// ink: the colour of an element's letters.
function ink(e, style) {
  return colour(e instanceof SVGElement ? style.fill : style.webkitTextFillColor);
}

function contrast() {
  for (const animation of document.getAnimations()) {
    try { animation.finish(); } catch { /* it has no end */ }
  }
  const findings = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!plain(texts.currentNode.data) || e.matches("textarea") || !readable(e)) continue;
    judge(where(e), texts.currentNode.data, ancestry(e), ink(e, getComputedStyle(e)), findings);
  }
  for (const e of document.querySelectorAll("input:not([type=hidden], [type=checkbox], [type=radio], [type=range], [type=color], [type=image]), textarea, select")) {
    if (!readable(e)) continue;
    if (plain(shown(e))) judge(where(e), shown(e), ancestry(e), ink(e, getComputedStyle(e)), findings);
    if (e.placeholder && !e.value) {
      const hint = getComputedStyle(e, "::placeholder");
      const [r, g, b, a] = ink(e, hint);
      judge(where(e) + "::placeholder", e.placeholder, ancestry(e), [r, g, b, a * Number(hint.opacity)], findings);
    }
  }
  for (const e of document.body.querySelectorAll("*")) {
    for (const pseudo of ["::before", "::after"]) {
      const style = getComputedStyle(e, pseudo);
      const content = style.content.match(/"((?:[^"\\]|\\.)*)"/)?.[1];
      if (!content?.trim() || style.display === "none" || !readable(e)) continue;
      judge(where(e) + pseudo, content, [...ancestry(e), style], ink(e, style), findings);
    }
  }
  return [...findings];
}

// wider: the elements that make the page scroll sideways.
function wider() {
  const root = document.documentElement;
  const findings = [];
  const window = Math.min(root.clientWidth, screen.width);
  if (root.clientWidth > screen.width + 1) {
    findings.push(`wide: the page lays itself out ${root.clientWidth} px wide on a screen of ${screen.width}: has it no meta element for the viewport?`);
  }
  if (root.scrollWidth <= window + 1 || findings.length) return findings;
  findings.push(`wide: the page is ${root.scrollWidth} px wide on a screen of ${window}`);
  // What scrolls or hides what is in it sticks out by its own box only.
  const held = e => {
    for (let up = e.parentElement; up && up !== document.body && up !== root; up = up.parentElement) {
      if (getComputedStyle(up).overflowX !== "visible") return true;
    }
    return false;
  };
  const right = box => box.right + scrollX;
  const out = new Map();
  const all = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (all.nextNode()) {
    const node = all.currentNode;
    const e = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    let box;
    if (node === e) {
      box = e.getBoundingClientRect();
    } else {
      const range = document.createRange();
      range.selectNodeContents(node);
      box = range.getBoundingClientRect();
      if (getComputedStyle(e).overflowX !== "visible") continue;
    }
    if (box.width > 0 && right(box) > window + 1 && visible(e) && !held(e)) out.set(e, Math.max(right(box), out.get(e) ?? 0));
  }
  for (const [e, edge] of out) {
    if (out.has(e.parentElement)) continue;
    let inmost = e;
    for (let next = e; next; next = [...next.children].find(child => out.has(child))) inmost = next;
    const inside = inmost === e ? "" : `, as does ${called(inmost)} in it`;
    findings.push(`wide: ${where(e)} reaches to ${Math.round(edge)} px${inside}`);
  }
  return findings;
}
