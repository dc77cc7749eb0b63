// Elements are made and changed, never replaced: focus, selection and scrolling stay where they are.

export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function attr(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Has `parent` show one child for each of `items`, in their order; `make(item)` gives an object with
// `node`, `change(part, item)` changes it.
export function keyed(parent, parts, items, idOf, make, change) {
  const ids = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = idOf(item);
    ids.add(id);
    let part = parts.get(id);
    if (!part) {
      part = make(item);
      parts.set(id, part);
    }
    change(part, item);
    if (part.node === place) place = place.nextElementSibling;
    else parent.insertBefore(part.node, place);
  }
  for (const [id, part] of parts) {
    if (!ids.has(id)) {
      part.node.remove();
      parts.delete(id);
    }
  }
}

export const byId = (id) => document.getElementById(id);
