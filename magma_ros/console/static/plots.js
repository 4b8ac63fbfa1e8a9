// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// The last half minute of what tells an operator whether the policy keeps up, and knows what it does.

import { figure, part, say } from "./parts.js";

const SPAN = 30; // seconds shown

// Each: figures to keep of a view, the axis, and how the newest is written.
const PLOTS = {
  depth: {
    read: ({ policy }) => [policy.plans > 0 ? policy.depth : null],
    axis: ({ policy }) => [0, Math.max(policy.exits, 1)],
    write: ([depth], { policy }) => (depth === null ? "–" : `${depth} of ${policy.exits}`),
    step: true,
    fill: true,
  },
  slack: {
    read: ({ policy }) => [policy.slack === null ? null : policy.slack * 1000],
    axis: (_, [slack]) => [Math.min(0, ...slack), Math.max(50, ...slack)],
    write: ([slack]) => figure(slack, 0, "ms"),
    zero: true,
  },
  late: {
    read: ({ policy }) => [policy.late],
    axis: (_, [late]) => [Math.min(...late), Math.min(...late) + Math.max(4, Math.max(...late) - Math.min(...late))],
    write: ([late], { policy }) => `${late} of ${policy.plans}`,
    step: true,
    fill: true,
  },
  doubt: {
    read: ({ policy }) => [policy.doubt],
    axis: () => [0, 1],
    write: ([doubt]) => figure(doubt === null ? null : doubt * 100, 0, "%"),
    fill: true,
  },
  speed: {
    read: ({ guard }) => [guard.speed * 1000, guard.speed_limit === null ? null : guard.speed_limit * 1000],
    axis: (_, [speed, limit]) => [0, 1.1 * Math.max(10, ...speed, ...limit)],
    write: ([speed, limit]) => `${figure(speed)} of ${figure(limit, 0, "mm/s")}`,
    fill: true,
  },
};

export class Plots {
  constructor() {
    this.samples = []; // {time, values by plot}
  }

  update(view, now) {
    const values = Object.fromEntries(Object.entries(PLOTS).map(([name, plot]) => [name, plot.read(view)]));
    this.samples.push({ time: now, values });
    while (this.samples[0].time < now - SPAN) this.samples.shift();
    this.colours = getComputedStyle(document.documentElement);
    for (const [name, plot] of Object.entries(PLOTS)) {
      say(part(`figure-${name}`), plot.write(values[name], view));
      this.draw(name, plot, view, now);
    }
  }

  draw(name, plot, view, now) {
    const canvas = part(`plot-${name}`);
    const { width, height } = fit(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const lines = this.samples[0].values[name].map((_, i) => this.samples.map((s) => s.values[name][i]));
    const [low, high] = plot.axis(view, lines.map((line) => line.filter((v) => v !== null)));
    const x = (time) => width * (1 - (now - time) / SPAN);
    const y = (value) => height - 2 - ((height - 4) * (value - low)) / (high - low || 1);
    this.rule(context, width, y(plot.zero ? 0 : low));
    const times = this.samples.map((s) => x(s.time));
    lines.forEach((line, i) => {
      context.strokeStyle = this.colour(i === 0 ? "--plot" : "--plot-limit");
      context.lineWidth = (i === 0 ? 1.75 : 1.25) * devicePixelRatio;
      context.setLineDash(i === 0 ? [] : [4 * devicePixelRatio, 3 * devicePixelRatio]);
      trace(context, times, line.map((v) => (v === null ? null : y(v))), plot, i === 0 && height, this.colour("--plot-fill"));
    });
    context.setLineDash([]);
  }

  rule(context, width, at) {
    context.strokeStyle = this.colour("--line");
    context.lineWidth = devicePixelRatio;
    context.beginPath();
    context.moveTo(0, at);
    context.lineTo(width, at);
    context.stroke();
  }

  colour(name) {
    return this.colours.getPropertyValue(name).trim();
  }
}

// The canvas as many pixels as the screen has for it.
function fit(canvas) {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return { width, height };
}

// One line with gaps where nothing is known.
function trace(context, xs, ys, { step, fill }, floor, colour) {
  let start = null;
  for (let i = 0; i <= xs.length; i += 1) {
    const known = i < xs.length && ys[i] !== null;
    if (known && start === null) start = i;
    if (known || start === null) continue;
    context.beginPath();
    context.moveTo(xs[start], ys[start]);
    for (let j = start + 1; j < i; j += 1) {
      if (step) context.lineTo(xs[j], ys[j - 1]);
      context.lineTo(xs[j], ys[j]);
    }
    context.stroke();
    if (fill && floor) {
      context.lineTo(xs[i - 1], floor);
      context.lineTo(xs[start], floor);
      context.fillStyle = colour;
      context.fill();
    }
    start = null;
  }
}
