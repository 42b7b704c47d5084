// The time line: a playhead over all lanes, what each of them says there, and the reader's own copy of the film beside
// them. Without this script the lanes stand as they are.
(() => {
  const section = document.getElementById("timeline");
  if (!section) return;
  const [board, head, knob, line, now, says, shown, screen, monitor, desk, player, play, open, opened] = [
    "board", "head", "knob", "line", "now", "says", "shown", "screen", "monitor", "desk", "player", "play", "open",
    "opened",
  ].map((id) => document.getElementById(id));
  const length = Number(board.dataset.length);
  const step = Number(board.dataset.step);
  const times = board.dataset.times.split(" ").filter(Boolean).map(Number);
  const track = head;
  let at = 0;

  const clock = (seconds) => {
    const tenths = Math.round(Math.max(0, seconds) * 10);
    const minutes = Math.floor(tenths / 600);
    const two = (n) => String(n).padStart(2, "0");
    const rest = two(Math.floor((tenths % 600) / 10));
    if (minutes >= 60) return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
    return seconds < 600 ? `${minutes}:${rest}.${tenths % 10}` : `${minutes}:${rest}`;
  };
  const figure = (value) => String(Number(value.toPrecision(3))).replace("-", "−");

  // What the lanes say, read from the drawings themselves.
  const bars = [...board.querySelectorAll(".stretch")].map((bar) => ({
    start: Number(bar.dataset.start),
    end: Number(bar.dataset.end),
    sign: !bar.classList.contains("tone-seen"),
    text: bar.querySelector("title").textContent.replace(/^\S+ ?/, ""),
    row: bar.closest("[data-row]"),
  }));
  const curves = [...board.querySelectorAll("[data-curve]")].map((row) => {
    const { low, high } = row.querySelector(".mini").dataset;
    const tall = row.querySelector(".mini").viewBox.baseVal.height - 4;
    const lines = [...row.querySelectorAll("polyline")].map((drawn) => ({
      series: Number(drawn.dataset.series),
      points: [...drawn.points].map(({ x, y }) => [(x / 1000) * length, +low + (1 - y / tall) * (high - low)]),
    }));
    return { name: row.dataset.curve, unit: row.dataset.unit, names: JSON.parse(row.dataset.names), lines };
  });
  const value = (points) => {
    const after = points.findIndex(([x]) => x >= at);
    if (after < 0 || at < points[0][0]) return null;
    const [[x0, y0], [x1, y1]] = [points[Math.max(0, after - 1)], points[after]];
    return x1 > x0 ? y0 + ((y1 - y0) * (at - x0)) / (x1 - x0) : y1;
  };
  // What the playhead is in; else the nearest of the row's moments that are as good as met.
  const near = Math.max(length / 300, step / 2);
  const rows = [...board.querySelectorAll("[data-row]")].map((row) => [
    row.dataset.row,
    bars.filter((bar) => bar.row === row),
  ]);
  const away = (bar) => Math.max(bar.start - at, at - bar.end);
  const here = (found) => {
    const inside = found.filter((bar) => away(bar) <= 0);
    if (inside.length || !found.length) return inside;
    const nearest = found.reduce((best, bar) => (away(bar) < away(best) ? bar : best));
    return nearest.end - nearest.start < near && away(nearest) < near ? [nearest] : [];
  };

  const said = () => {
    const out = rows.flatMap(([name, found]) => here(found).map((bar) => [name, bar.text, bar.sign]));
    for (const { name, unit, names, lines } of curves) {
      const found = lines.map(({ series, points }) => [names[series], value(points)]).filter(([, v]) => v !== null);
      const text = found.map(([n, v]) => (names.length > 1 && n ? `${n} ${figure(v)}` : figure(v))).join(", ");
      if (found.length) out.push([name, `${text} ${names.length > 1 ? "" : unit}`.trim(), false]);
    }
    return out.sort((a, b) => b[2] - a[2]);
  };
  const tell = () => {
    const lines = said();
    says.replaceChildren(
      ...lines.slice(0, 40).map(([name, text, sign]) => {
        const item = document.createElement("li");
        const strong = document.createElement("strong");
        strong.textContent = name;
        item.append(strong, text ? ` ${text}` : "");
        item.classList.toggle("marked", sign);
        return item;
      }),
    );
    if (!lines.length) {
      const item = document.createElement("li");
      item.textContent = "Nothing is noted here.";
      says.append(item);
    }
    const marked = lines.filter(([, , sign]) => sign).map(([name, text]) => `${name} ${text}`);
    head.setAttribute("aria-valuenow", at.toFixed(1));
    head.setAttribute("aria-valuetext", [clock(at), ...marked.slice(0, 3)].join("; "));
  };

  const set = (seconds, { fromPlayer = false, frame = true } = {}) => {
    at = Math.min(length, Math.max(0, seconds));
    const share = `${(100 * at) / length}%`;
    knob.setAttribute("cx", share);
    line.setAttribute("x1", share);
    line.setAttribute("x2", share);
    now.textContent = clock(at);
    if (times.length && frame && shown) {
      const nearest = times.reduce((best, time, i) => (Math.abs(time - at) < Math.abs(times[best] - at) ? i : best), 0);
      shown.setAttribute("href", `#strip-${nearest}`);
      screen.setAttribute("aria-label", `The frame at ${clock(times[nearest])}`);
    }
    tell();
    if (!fromPlayer && player.src && Math.abs(player.currentTime - at) > 0.02) player.currentTime = at;
  };

  // Marked stretches, by time; where none is marked there is nothing to go to.
  const marks = [...new Set(bars.filter((bar) => bar.sign).map((bar) => bar.start))].sort((a, b) => a - b);
  const jump = (way) => {
    const found = way > 0 ? marks.find((m) => m > at + 1e-3) : marks.findLast((m) => m < at - 1e-3);
    if (found !== undefined) set(found);
  };
  for (const [id, way] of [["before", -1], ["after", 1]]) {
    const button = document.getElementById(id);
    button.hidden = !marks.length;
    button.addEventListener("click", () => jump(way));
  }

  const keys = {
    ArrowRight: (far) => set(at + far), ArrowUp: (far) => set(at + far),
    ArrowLeft: (far) => set(at - far), ArrowDown: (far) => set(at - far),
    Home: () => set(0), End: () => set(length),
    PageUp: () => set(at + 10 * step), PageDown: () => set(at - 10 * step),
    n: () => jump(1), p: () => jump(-1),
    " ": () => toggle(),
  };
  section.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const name = key.length === 1 ? key.toLowerCase() : key;
    if (event.ctrlKey || event.altKey || event.metaKey || !(name in keys) || target === player) return;
    // Letters and sideways arrows work in the whole section, the others where the place is chosen.
    if (target !== head && !["n", "p", "ArrowLeft", "ArrowRight"].includes(name)) return;
    if (name === " " && !player.src) return;
    event.preventDefault();
    keys[name](event.shiftKey ? 10 * step : step);
  });

  const follow = (event) => {
    const box = track.getBoundingClientRect();
    set(((event.clientX - box.left) / box.width) * length);
  };
  board.addEventListener("pointerdown", (event) => {
    if (event.button || !event.target.closest(".track")) return;
    board.setPointerCapture(event.pointerId);
    head.focus({ preventScroll: true });
    event.preventDefault();
    follow(event);
  });
  board.addEventListener("pointermove", (event) => {
    if (board.hasPointerCapture(event.pointerId)) follow(event);
  });

  // Times in the text lead here.
  for (const time of document.querySelectorAll("[data-seek]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "time seek";
    button.title = "Show this moment on the time line";
    button.textContent = time.textContent;
    button.addEventListener("click", () => {
      set(Number(time.dataset.seek));
      section.scrollIntoView();
      head.focus({ preventScroll: true });
    });
    time.replaceWith(button);
  }

  // The reader's own copy of the film.
  const toggle = () => (player.paused ? player.play() : player.pause());
  const run = () => {
    set(player.currentTime, { fromPlayer: true });
    if (!player.paused && !player.ended) requestAnimationFrame(run);
  };
  play.addEventListener("click", toggle);
  player.addEventListener("play", () => {
    play.textContent = "Pause";
    run();
  });
  player.addEventListener("pause", () => (play.textContent = "Play"));
  player.addEventListener("seeked", () => player.paused && set(player.currentTime, { fromPlayer: true }));
  player.addEventListener("error", () => {
    if (!player.src) return;
    close();
    opened.textContent = `This browser cannot play ${name}: its coding is foreign to it. The lanes work all the same.`;
  });
  let name = "";
  const close = () => {
    URL.revokeObjectURL(player.src);
    player.removeAttribute("src");
    player.hidden = play.hidden = true;
    if (screen) screen.classList.remove("away");
    else monitor.hidden = true;
    document.getElementById("space").hidden = true;
  };
  const HASHED = 200e6;
  const same = async (file) => {
    const { bytes, sha256 } = open.dataset;
    if (bytes && file.size !== Number(bytes)) return "is NOT the examined file: it has another size. The times may not fit.";
    if (!sha256 || !globalThis.crypto?.subtle || file.size > HASHED) {
      return "has the size of the examined file; its content was not compared.";
    }
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex === sha256 ? "is the examined file: same SHA-256." : "is NOT the examined file: its content differs.";
  };
  open.addEventListener("change", async () => {
    const [file] = open.files;
    if (!file) return;
    if (player.src) close();
    name = file.name;
    player.src = URL.createObjectURL(file);
    player.currentTime = at;
    player.hidden = play.hidden = monitor.hidden = false;
    screen?.classList.add("away");
    desk.classList.remove("bare");
    document.getElementById("space").hidden = false;
    opened.textContent = `Comparing ${name} with the examined file …`;
    const result = await same(file).catch(() => "could not be read.");
    if (player.src && name === file.name) opened.textContent = `${name} ${result}`;
  });

  for (const part of section.querySelectorAll(".needs-script")) part.hidden = false;
  document.getElementById("marked-keys").hidden = !marks.length;
  document.getElementById("overlay").setAttribute("visibility", "visible");
  board.classList.add("scrubs");
  // The large frame stays until somebody moves.
  set(0, { frame: !document.getElementById("picture") });
})();
