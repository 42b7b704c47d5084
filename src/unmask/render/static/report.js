// The viewer: choose a layer, its strength, and how far it covers the picture. Without this script all layers
// stand in the findings below.
(() => {
  // Paper has no folds: open all but the JSON, and fold again what was folded.
  const folds = [...document.querySelectorAll("details")];
  let open = [];
  addEventListener("beforeprint", () => {
    open = folds.filter((fold) => fold.open);
    for (const fold of folds) fold.open = !fold.querySelector(".json");
  });
  addEventListener("afterprint", () => {
    for (const fold of folds) fold.open = open.includes(fold);
  });

  const form = document.getElementById("controls");
  if (!form) return;
  const stage = document.getElementById("stage");
  const { width, height } = stage.viewBox.baseVal;
  const layers = [...document.querySelectorAll("[data-layer]")];
  const captions = [...document.querySelectorAll("[data-caption]")];
  const reveal = document.getElementById("reveal-rect");
  const handle = document.getElementById("handle");
  const opacity = document.getElementById("opacity");
  const uncover = document.getElementById("uncover");
  const chosen = () => form.querySelector("input[name=layer]:checked");

  const place = () => {
    const edge = (width * uncover.value) / 100;
    reveal.setAttribute("width", edge);
    // The handle keeps its size on the screen and stays inside the picture.
    const scale = 1 / (stage.getScreenCTM()?.a || 1);
    const inside = Math.min(width - 8 * scale, Math.max(8 * scale, edge));
    handle.setAttribute("transform", `translate(${inside} ${height / 2}) scale(${scale})`);
    uncover.setAttribute("aria-valuetext", `covers ${uncover.value} % from the left`);
  };
  const show = () => {
    const { value, dataset } = chosen();
    for (const layer of layers) layer.setAttribute("visibility", layer.dataset.layer === value ? "visible" : "hidden");
    for (const caption of captions) caption.hidden = caption.dataset.caption !== value;
    for (const part of document.querySelectorAll(".fades")) part.setAttribute("opacity", opacity.value / 100);
    handle.setAttribute("visibility", value ? "visible" : "hidden");
    opacity.disabled = !("map" in dataset);
    uncover.disabled = !value;
    stage.classList.toggle("slides", Boolean(value));
    place();
  };

  const follow = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(stage.getScreenCTM().inverse());
    uncover.value = Math.round((100 * point.x) / width);
    place();
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button || !chosen().value) return;
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    follow(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });

  for (const button of document.querySelectorAll("[data-show]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const wanted = form.querySelector(`input[value="${button.dataset.show}"]`);
      wanted.checked = true;
      uncover.value = 100;
      show();
      document.getElementById("viewer").scrollIntoView();
      wanted.focus({ preventScroll: true });
    });
  }
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("resize", place);
  show();
})();
