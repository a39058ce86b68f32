// Making and updating elements. Whatever comes from the network becomes text, never markup: stream keys are written by
// strangers.

// `children` are nodes or text.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function button(label, onClick, attributes = {}) {
  const node = el('button', { type: 'button', ...attributes }, label);
  node.addEventListener('click', onClick);
  return node;
}

// Only what has changed is touched, so that selections stay and nothing is read out twice.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Makes the children of `parent` (after a table's head) those of `items`, in their order. A child is kept as long as its item's key is there, and
// with it focus, selection and what is open in it. `make` gives a node with an `update` of its own.
export function keep(parent, items, keyOf, make) {
  const children = [...parent.children].filter((child) => child.localName !== 'thead');
  const old = new Map(children.map((child) => [child.itemKey, child]));
  const wanted = new Set(items.map(keyOf));
  // First of all: a node that is moved to another place loses focus.
  for (const [key, child] of old) if (!wanted.has(key)) child.remove();
  let place = children.find((child) => wanted.has(child.itemKey)) ?? null;
  for (const item of items) {
    const key = keyOf(item);
    const child = old.get(key) ?? make(item);
    child.itemKey = key;
    if (child === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(child, place);
    }
    child.update(item);
  }
}

// Pairs of a name and a text.
export function keepFigures(list, figures) {
  keep(list, figures, ([name]) => name, ([name]) => {
    const value = el('dd');
    const item = el('div', {}, el('dt', {}, name), value);
    item.update = ([, text]) => setText(value, text);
    return item;
  });
}

// A text to copy, with its button.
export function copyable(text) {
  const code = el('code', { tabindex: '0' }, text);
  const copy = button('Copy', async () => {
    setText(copy, (await copyText(code)) ? 'Copied' : 'Press Ctrl+C');
    setTimeout(() => setText(copy, 'Copy'), 2000);
  });
  return el('span', { class: 'copyable' }, code, copy);
}

async function copyText(code) {
  getSelection().selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    // Browsers have no clipboard for pages over plain HTTP, but for this old way.
    return document.execCommand('copy');
  }
}
