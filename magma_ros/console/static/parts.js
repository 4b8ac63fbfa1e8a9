// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// Small helpers of the page's scripts. Text from the robot is only ever set as text.

export const part = (name) => document.querySelector(`[data-part="${name}"]`);

// Set only what changed, so that a screen reader says it once and nothing is laid out for nothing.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

export function mark(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A number as people read it, or a dash for what is not known.
export function figure(value, digits = 0, unit = "") {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const text = value.toFixed(digits);
  return `${text === "-0" ? "0" : text}${unit && `\u202f${unit}`}`;
}

// How long ago, in one or two figures that are good enough to act on.
export function ago(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "never";
  if (seconds < 10) return `${seconds.toFixed(1)}\u202fs`;
  if (seconds < 120) return `${Math.round(seconds)}\u202fs`;
  return `${Math.round(seconds / 60)}\u202fmin`;
}

const kept = {
  get(key) {
    try {
      return localStorage.getItem(`magma.${key}`);
    } catch {
      return null; // storage is forbidden here
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`magma.${key}`, value);
    } catch {
      // it is only forgotten at the next visit
    }
  },
};
export { kept };

// What was answered, beside where it was asked; it fades after a while.
const fading = new Map();
export function answer(place, { accepted, sentence }) {
  const element = part(place);
  element.dataset.accepted = accepted;
  element.textContent = sentence;
  clearTimeout(fading.get(place));
  fading.set(place, setTimeout(() => (element.textContent = ""), 8000));
}

// Ask for a text in a dialog; the button that opens it has its name. What is left empty is not told.
export function bindDialog(name, onsave, before = () => "") {
  const dialog = part(`${name}-dialog`);
  const box = document.getElementById(name);
  document.querySelector(`[data-do="${name}"]`).addEventListener("click", () => {
    box.value = before();
    dialog.showModal();
  });
  dialog.querySelector('[data-do="cancel"]').addEventListener("click", () => dialog.close());
  part(`${name}-form`).addEventListener("submit", () => {
    if (box.value.trim()) onsave(box.value.trim());
  });
}
