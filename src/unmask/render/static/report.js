// The viewer: choose a map, its strength, and how far it covers the picture. Without this script the maps
// stand in the findings below.
(() => {
  const form = document.getElementById("controls");
  if (!form) return;
  const layers = document.getElementById("layers");
  const reveal = document.getElementById("reveal-rect");
  const divider = document.getElementById("divider");
  const text = document.getElementById("layer-text");
  const width = document.getElementById("stage").viewBox.baseVal.width;
  const opacity = document.getElementById("opacity");
  const uncover = document.getElementById("uncover");
  const show = () => {
    const chosen = form.querySelector("input[name=layer]:checked");
    for (const layer of layers.children) {
      layer.setAttribute("visibility", layer.dataset.layer === chosen.value ? "visible" : "hidden");
    }
    text.textContent = chosen.dataset.text || "";
    layers.setAttribute("opacity", opacity.value / 100);
    const edge = (width * uncover.value) / 100;
    reveal.setAttribute("width", edge);
    divider.setAttribute("x1", edge);
    divider.setAttribute("x2", edge);
    const divided = chosen.value !== "none" && uncover.value < 100;
    divider.setAttribute("visibility", divided ? "visible" : "hidden");
  };
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
  // Paper has no folds.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.dataset.was = d.open ? "1" : ""; d.open = !d.querySelector(".json"); }));
  addEventListener("afterprint", () => document.querySelectorAll("details").forEach((d) => { d.open = !!d.dataset.was; }));
})();
