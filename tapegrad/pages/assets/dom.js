// Elements. Texts go in as texts: nothing that a user named is ever read as markup.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

// Scroll a box, and nothing around it, so that one finds `top .. top + height` in its middle third or so.
function reveal(box, top, height) {
  const above = box.scrollTop, below = above + box.clientHeight;
  if (top < above + height || top + 2 * height > below) {
    box.scrollTop = Math.max(0, top - (box.clientHeight - height) / 3);
  }
}
