// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// What an operator asks of the guard and of the arm, all of it through the motion link.

import { answer, bindDialog, figure, make, mark, part, say, show } from "./parts.js";

const FOR_ALL = ["stop", "hold"]; // what may be asked without control
const NOT_CONNECTED = "Not connected to the robot; use its own emergency stop.";

export class Drive {
  constructor(link) {
    this.link = link;
    this.view = null;
    this.silent = true;
    document.addEventListener("click", (event) => this.click(event));
    for (const pad of document.querySelectorAll("[data-axis]")) this.bindPad(pad);
    bindDialog("name", (name) => link.setName(name), () => link.state.name);
    link.onchange(() => this.refresh());
  }

  update(view) {
    this.view = view;
    this.refresh();
  }

  silence(seconds) {
    this.silent = seconds > 0;
    this.refresh();
  }

  // Why a request would be refused, or an empty text.
  refusal(verb) {
    if (this.silent || this.view === null) return NOT_CONNECTED;
    return this.view.refusals[verb] ?? (FOR_ALL.includes(verb) ? "" : this.leaseRefusal());
  }

  leaseRefusal() {
    const { mine, holder } = this.link.state;
    return mine || !holder ? "" : `${holder} has control; ask for it first.`;
  }

  jogRefusal() {
    if (this.silent || this.view === null) return NOT_CONNECTED;
    if (this.leaseRefusal()) return this.leaseRefusal();
    return this.view.guard.mode === "TELEOP" && this.link.state.mine ? "" : "Take over before you jog.";
  }

  async click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const { verb, do: action, value } = button.dataset;
    if (verb) await this.ask(verb, button);
    else if (action in this.actions) answer(...(await this.actions[action].call(this, value)));
  }

  async ask(verb, button) {
    const refused = this.refusal(verb);
    // A stop is tried in any case: the link may live while the view does not.
    let said = { accepted: false, sentence: refused };
    if (verb === "stop" || (!refused && FOR_ALL.includes(verb))) said = await this.link.request(verb);
    else if (!refused) said = await inControl(this.link, () => this.link.request(verb));
    if (verb === "stop") say(part("stop-said"), said.accepted ? "" : said.sentence);
    answer(button.closest(".top") ? "top-said" : "verbs-said", said);
  }

  actions = {
    async lease() {
      const { mine } = this.link.state;
      return ["verbs-said", await (mine ? this.link.giveUp() : this.link.ask())];
    },
    async grant() {
      return ["verbs-said", await this.link.grant()];
    },
    async refuse() {
      return ["verbs-said", await this.link.refuse()];
    },
    async frame(value) {
      this.link.setFrame(value);
      return ["jog-said", { accepted: true, sentence: "" }];
    },
    async speed(value) {
      this.link.setSpeed(value);
      return ["jog-said", { accepted: true, sentence: "" }];
    },
  };

  // A pad moves the arm while it is held by a finger, a mouse, or Enter; Space is the link's stop.
  bindPad(pad) {
    const { axis } = pad.dataset;
    const press = () => {
      const sentence = this.jogRefusal();
      answer("jog-said", { accepted: !sentence, sentence });
      if (!sentence) this.link.press(axis);
    };
    const letGo = () => this.link.letGo(axis);
    pad.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pad.setPointerCapture(event.pointerId);
      press();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      pad.addEventListener(end, letGo);
    }
    pad.addEventListener("contextmenu", (event) => event.preventDefault());
    pad.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) press();
    });
    pad.addEventListener("keyup", (event) => {
      if (event.key === "Enter") letGo();
    });
  }

  refresh() {
    const { state } = this.link;
    for (const button of document.querySelectorAll("[data-verb]")) {
      mark(button, "aria-disabled", this.refusal(button.dataset.verb) !== "" && button.dataset.verb !== "stop");
    }
    this.showLease(state);
    this.showJog(state);
  }

  showLease({ mine, holder, asking, waiting, left, name }) {
    const passes = left === null ? "" : ` It passes on in ${Math.ceil(left)}\u202fs.`;
    const words = mine ? "You have control" : holder ? `${holder} has control` : "Nobody has control";
    say(part("name"), name || "…");
    say(part("lease-words"), asking ? `${words}.${passes}` : words);
    mark(part("lease-words"), "data-mine", mine);
    say(part("lease-button"), mine ? "Give up" : asking ? "Asked" : holder ? "Ask for control" : "Take control");
    show(part("asked"), mine && waiting.length > 0);
    if (mine && waiting.length > 0) say(part("asked-who"), `${waiting[0]} asks for control.${passes}`);
  }

  showJog({ frame, speed, held, gamepad, moving, over }) {
    if (over) answer("jog-said", { accepted: false, sentence: over });
    mark(part("jog"), "data-ready", this.jogRefusal() === "");
    const frames = (this.view?.jog_frames ?? ["BASE"]).map((name) => name.toLowerCase());
    choose("frame", frame, (value) => frames.includes(value));
    choose("speed", speed, () => true);
    for (const pad of document.querySelectorAll("[data-axis]")) {
      pad.classList.toggle("held", held.includes(pad.dataset.axis));
    }
    const driven = moving ? "moves the arm" : "ready, hold a shoulder button";
    say(part("gamepad"), gamepad ? `${gamepad}: ${driven}` : "No gamepad. Press one of its buttons to connect it.");
    if (this.view) say(part("pose"), pose(this.view));
  }
}

// Do something that only who has control may do; control that nobody has is taken first.
export async function inControl(link, act) {
  const { mine, holder } = link.state;
  if (!mine && !holder) {
    const said = await link.ask();
    if (!said.accepted) return said;
  }
  return act();
}

// Show which of some values holds, and hide those that cannot be chosen now.
function choose(name, chosen, offered) {
  for (const button of part(name).querySelectorAll("button")) {
    const { value } = button.dataset;
    show(button, offered(value));
    mark(button, "aria-checked", value === chosen);
  }
}

function pose({ position, opening, clearance }) {
  const millimetres = position?.map((value) => figure(value * 1000)).join("  ");
  const parts = [position ? `x y z  ${millimetres} mm` : "position unknown"];
  if (opening !== null) parts.push(`gripper ${figure(opening * 100, 0, "%")} open`);
  if (clearance !== null) parts.push(`clearance ${figure(clearance * 1000, 0, "mm")}`);
  return parts.join(" · ");
}

// Keys of the link, written on the pads.
export function showKeys(keys) {
  for (const [axis, key] of Object.entries(keys ?? {})) {
    const hint = part(`key-${axis}`);
    if (hint) hint.replaceChildren(make("span", {}, key));
  }
}
