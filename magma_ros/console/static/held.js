// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// What the operator holds: keys, pads on the screen and a gamepad, combined into one wish to move.

// Axis of the arm -> place in the twist and sign; REP 103: x forward, y left, z up.
const AXES = {
  "+x": [0, 1], "-x": [0, -1], "+y": [1, 1], "-y": [1, -1], "+z": [2, 1], "-z": [2, -1],
  "+roll": [3, 1], "-roll": [3, -1], "+pitch": [4, 1], "-pitch": [4, -1], "+yaw": [5, 1], "-yaw": [5, -1],
};
const GRIPPER = { open: 1, close: 0 };

// By where the key lies, so that the pattern is the same on every layout.
const KEYS = {
  KeyW: "+x", KeyS: "-x", KeyA: "+y", KeyD: "-y", KeyR: "+z", KeyF: "-z",
  KeyZ: "+roll", KeyX: "-roll", KeyT: "+pitch", KeyG: "-pitch", KeyQ: "+yaw", KeyE: "-yaw",
  KeyO: "open", KeyC: "close",
};
export const keys = Object.fromEntries(Object.entries(KEYS).map(([code, axis]) => [axis, code.slice(3)]));

const STOP_KEYS = ["Escape", "Space"];
const LEVEL_KEYS = { Digit1: "slow", Digit2: "medium", Digit3: "fast" };

// The standard gamepad (W3C Gamepad): sticks move while a shoulder button, the dead-man, is held.
const DEAD_MAN = [4, 5];
const STICKS = [[1, "x", -1], [0, "y", -1], [3, "z", -1], [2, "yaw", -1]]; // axis, what it moves, sign
const PAD_GRIPPER = { 0: "close", 1: "open" };
const PAD_STOP = 8;
const DEAD_ZONE = 0.15;

const typing = (target) => Boolean(target.closest?.("input, textarea, select, [contenteditable='true']"));

export class Held {
  // onchange() after every press and release, onstop() and onlevel(level) when a key asks for them.
  constructor({ onchange, onstop, onlevel }) {
    Object.assign(this, { onchange, onstop, onlevel });
    this.pressed = new Map(); // what is pressed (a key's code, a pad's axis) -> axis
    this.gamepad = ""; // name of the one that was used last
    this.stick = null; // {twist, gripper} while a gamepad's dead-man is held
    addEventListener("keydown", (event) => this.keydown(event));
    addEventListener("keyup", (event) => this.keyup(event));
    for (const gone of ["blur", "pagehide"]) addEventListener(gone, () => this.clear());
    document.addEventListener("freeze", () => this.clear());
    document.addEventListener("visibilitychange", () => document.hidden && this.clear());
    addEventListener("gamepaddisconnected", () => this.poll());
  }

  get axes() {
    return [...new Set(this.pressed.values())];
  }

  get any() {
    return this.pressed.size > 0 || this.stick !== null;
  }

  press(axis, by = axis) {
    if (document.hidden || !(axis in AXES || axis in GRIPPER) || this.pressed.has(by)) return;
    this.pressed.set(by, axis);
    this.onchange();
  }

  letGo(by) {
    if (this.pressed.delete(by)) this.onchange();
  }

  clear() {
    if (!this.any) return;
    this.pressed.clear();
    this.stick = null;
    this.onchange();
  }

  // The wish as shares of the top speed, neither half longer than 1, and the gripper's opening.
  wish() {
    const twist = this.stick ? [...this.stick.twist] : [0, 0, 0, 0, 0, 0];
    let gripper = this.stick?.gripper ?? null;
    for (const axis of this.axes) {
      if (axis in GRIPPER) gripper = GRIPPER[axis];
      else twist[AXES[axis][0]] += AXES[axis][1];
    }
    return { twist: [...shortened(twist.slice(0, 3)), ...shortened(twist.slice(3))], gripper };
  }

  keydown(event) {
    if (event.code === "Escape" || (event.code === "Space" && !typing(event.target))) {
      event.preventDefault(); // Space would press the button that has the focus
      this.clear();
      if (!event.repeat) this.onstop();
      return;
    }
    if (event.metaKey || event.ctrlKey || event.altKey) return this.clear(); // their key-ups get lost
    if (typing(event.target) || event.repeat) return;
    if (event.code in LEVEL_KEYS) this.onlevel(LEVEL_KEYS[event.code]);
    else if (event.code in KEYS) this.press(KEYS[event.code], event.code);
  }

  keyup(event) {
    if (STOP_KEYS.includes(event.code) && !typing(event.target)) event.preventDefault();
    this.letGo(event.code);
  }

  // Look at the gamepads; browsers tell nothing of their sticks by themselves.
  poll() {
    const pad = [...(navigator.getGamepads?.() ?? [])].find((each) => each?.connected && each.mapping === "standard");
    const before = this.stick;
    this.stick = null;
    if (pad && document.hasFocus()) {
      if (pad.buttons.some((button) => button.pressed)) this.gamepad = pad.id;
      this.stopButton(pad.buttons[PAD_STOP]?.pressed ?? false);
      if (DEAD_MAN.some((number) => pad.buttons[number]?.pressed)) this.stick = readSticks(pad);
    } else if (!pad) {
      this.gamepad = "";
    }
    if ((before === null) !== (this.stick === null)) this.onchange();
  }

  stopButton(pressed) {
    if (pressed && !this.stopping) this.onstop();
    this.stopping = pressed;
  }
}

function readSticks(pad) {
  const twist = [0, 0, 0, 0, 0, 0];
  for (const [number, name, sign] of STICKS) {
    const value = pad.axes[number] ?? 0;
    const beyond = Math.max(0, Math.abs(value) - DEAD_ZONE) / (1 - DEAD_ZONE);
    twist[AXES[`+${name}`][0]] = sign * Math.sign(value) * beyond;
  }
  const button = Object.keys(PAD_GRIPPER).find((number) => pad.buttons[number]?.pressed);
  return { twist, gripper: button === undefined ? null : GRIPPER[PAD_GRIPPER[button]] };
}

function shortened(part) {
  const length = Math.max(1, Math.hypot(...part));
  return part.map((value) => value / length);
}
