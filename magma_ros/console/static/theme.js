// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// Dark or light, before the first paint: what the operator chose last, or else what the system prefers.

(() => {
  const prefers = matchMedia("(prefers-color-scheme: light)");
  const stored = () => {
    try {
      return localStorage.getItem("magma.theme");
    } catch {
      return null; // storage is forbidden here
    }
  };
  const apply = () => {
    document.documentElement.dataset.theme = stored() ?? (prefers.matches ? "light" : "dark");
  };
  prefers.addEventListener("change", apply);
  apply();
})();
