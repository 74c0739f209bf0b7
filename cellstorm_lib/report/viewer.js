// The viewer of a page: two pictures with a line between them, zoom, localizations, scale bar.

// What is in sight is never narrower than this.
const NARROWEST_UM = 0.1;

class Viewer {
  constructor(box, data) {
    this.box = box;
    this.data = data;
    this.stage = box.querySelector(".stage");
    this.canvas = box.querySelector("canvas.points");
    this.control = (name) => box.querySelector(`[name="${name}"]`);
    this.palettes = Object.fromEntries(Object.entries(data.maps).map(([name, text]) => [name, palette(text)]));
    this.tables = {};
    this.split = 0.5;
    this.line = null;
    this.layers = new Map();
    this.zoomer = this.opened();
    this.zoomer.addOnceHandler("open", () => this.start());
  }

  opened() {
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const width_um = Math.max(...this.data.layers.map((layer) => layer.width_um));
    return OpenSeadragon({
      element: this.box.querySelector(".picture"),
      drawer: "canvas",
      prefixUrl: "",
      showNavigationControl: false,
      cooperativeGestures: true,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      animationTime: isStill ? 0 : 0.35,
      blendTime: 0,
      visibilityRatio: 0.6,
      zoomPerScroll: 1.25,
      maxZoomLevel: Math.max(1 / NARROWEST_UM, 20 / width_um),
      preserveImageSizeOnResize: false,
      tileSources: this.data.layers.map((layer) => ({ tileSource: tileSource(layer), x: 0, y: 0, width: layer.width_um })),
    });
  }

  start() {
    const { world } = this.zoomer;
    world.setAutoRefigureSizes(false); // the line cuts pictures, which must not move the others
    this.data.layers.forEach((layer, i) => this.layers.set(layer.name, { ...layer, image: world.getItemAt(i) }));
    this.zoomer.canvas.append(this.canvas);
    this.zoomer.canvas.setAttribute("aria-label", "Picture: arrow keys move, plus and minus zoom, 0 shows the whole field");
    this.zoomer.canvas.setAttribute("role", "application");
    this.zoomer.addHandler("canvas-key", (event) => {
      if (/^[rfjk]$/i.test(event.originalEvent.key)) event.preventDefaultAction = true;
    });
    this.zoomer.addHandler("viewport-change", () => this.cut());
    this.zoomer.addHandler("update-viewport", () => this.draw());
    this.connect();
    this.choose();
    document.documentElement.classList.add("live");
  }

  connect() {
    for (const name of ["left", "right", "colour"]) this.control(name)?.addEventListener("change", () => this.choose());
    this.control("split").addEventListener("input", (event) => this.moveLine(event.target.value / 100));
    const on = (name, act) => this.box.querySelector(`[data-act="${name}"]`)?.addEventListener("click", act);
    on("in", () => this.zoomer.viewport.zoomBy(2).applyConstraints());
    on("out", () => this.zoomer.viewport.zoomBy(0.5).applyConstraints());
    on("whole", () => this.zoomer.viewport.goHome());
    this.box.querySelector('[data-act="full"]').hidden = !document.fullscreenEnabled;
    on("full", () => (document.fullscreenElement ? document.exitFullscreen() : this.box.requestFullscreen()));
    for (const button of this.box.querySelectorAll("[data-region]")) {
      const { x_um, y_um, side_um } = this.data.regions[button.dataset.region];
      button.addEventListener("click", () => this.show(x_um, y_um, side_um, side_um));
    }
    this.connectHandle();
    this.stage.addEventListener("pointermove", (event) => this.tell(this.place(event)));
    this.zoomer.addHandler("animation-finish", () => {
      if (!this.stage.matches(":hover")) this.tell(this.zoomer.viewport.getCenter(true));
    });
    this.profile = new Profile(this);
  }

  connectHandle() {
    const handle = this.box.querySelector(".handle");
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.stage.getBoundingClientRect();
      this.moveLine(Math.max(0, Math.min(1, (event.clientX - left) / width)));
    });
  }

  show(x, y, width, height) {
    this.zoomer.viewport.fitBounds(new OpenSeadragon.Rect(x, y, width, height));
  }

  moveLine(share) {
    this.split = share;
    this.control("split").value = 100 * share;
    this.cut();
    this.zoomer.forceRedraw();
  }

  // The layers left and right of the line; the same one, or null, where there is only one.
  get left() { return this.layers.get(this.control("left").value); }
  get right() { return this.layers.get(this.control("right").value); }

  choose() {
    const isOne = this.left === this.right;
    this.stage.classList.toggle("one", isOne);
    this.control("split").disabled = isOne;
    for (const side of ["left", "right"]) this.box.querySelector(`.tag.${side}`).textContent = this[side].label;
    for (const { image } of this.layers.values()) image.setClip(null);
    this.zoomer.world.setItemIndex(this.right.image, this.layers.size - 1);
    this.cut();
    this.drawLegend();
    this.zoomer.forceRedraw();
  }

  // Cut both pictures at the line, wherever the view has moved to.
  cut() {
    const { x, width } = this.zoomer.viewport.getBounds(true);
    for (const layer of this.layers.values()) {
      if (layer === this.left && layer === this.right) layer.image.setOpacity(1);
      else if (layer === this.left) keep(layer, 0, x + this.split * width);
      else if (layer === this.right) keep(layer, x + this.split * width, layer.width_um);
      else layer.image.setOpacity(0);
    }
  }

  table(layer) {
    const packed = layer && this.data.tables[layer.name];
    if (!packed || !packed.count) return null;
    this.tables[layer.name] ??= new Table(packed, { ...this.data, pixel_nm: layer.pixel_nm });
    return this.tables[layer.name];
  }

  // What the canvas shows, in its own pixels, which are finer than those of the style.
  view() {
    const bounds = this.zoomer.viewport.getBounds(true);
    const sharpness = Math.min(2, devicePixelRatio || 1);
    const { clientWidth, clientHeight } = this.stage;
    return {
      left_um: bounds.x, top_um: bounds.y, sharpness,
      width: Math.round(clientWidth * sharpness), height: Math.round(clientHeight * sharpness),
      scale: (clientWidth * sharpness) / bounds.width,
    };
  }

  draw() {
    const view = this.view();
    if (this.canvas.width !== view.width) this.canvas.width = view.width;
    if (this.canvas.height !== view.height) this.canvas.height = view.height;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, view.width, view.height);
    context.lineWidth = view.sharpness;
    const at = this.left === this.right ? 0 : this.split * view.width;
    const name = this.control("colour").value;
    this.shown = "";
    for (const [layer, from, to] of [[this.left, 0, at], [this.right, at, view.width]]) {
      const table = to > from && this.table(name === "density" && !this.isClose(view) ? null : layer);
      if (!table) continue;
      const column = table.columns[name];
      const how = drawTable(context, table, view, from, to, column, column && this.palettes[column.map]);
      this.shown = how || this.shown;
    }
    this.drawRegions(context, view);
    this.profile.draw(context, view);
    this.stage.style.setProperty("--split", `${100 * this.split}%`);
    this.stage.dataset.shown = this.shown;
    this.drawScale(view);
  }

  // Outline the regions to go to, and number them, while they are small.
  drawRegions(context, view) {
    const place = ({ x_um, y_um, side_um }) => [x_um - view.left_um, y_um - view.top_um, side_um].map((um) => um * view.scale);
    context.font = `${13 * view.sharpness}px system-ui, sans-serif`;
    this.data.regions.forEach((region, i) => {
      const [x, y, side] = place(region);
      if (side > view.width / 4) return;
      for (const [colour, width] of [["#000", 3], ["#fff", 1.3]]) {
        context.strokeStyle = colour;
        context.lineWidth = width * view.sharpness;
        context.strokeRect(x, y, side, side);
        if (colour === "#000") context.strokeText(i + 1, x + 5, y + 16 * view.sharpness);
      }
      context.fillStyle = "#fff";
      context.fillText(i + 1, x + 5, y + 16 * view.sharpness);
    });
  }

  // Whether single localizations may be in sight, so that their table is worth unpacking.
  isClose(view) {
    return view.width / view.scale < 12;
  }

  drawScale(view) {
    const scale = view.scale / view.sharpness;
    const length = roundBelow((this.stage.clientWidth / 4 / scale) * 1000);
    const bar = this.box.querySelector(".scale");
    bar.style.width = `${(length / 1000) * scale}px`;
    bar.textContent = length >= 1000 ? `${length / 1000} µm` : `${length} nm`;
  }

  drawLegend() {
    const legend = this.box.querySelector(".legend");
    const name = this.control("colour").value;
    const table = this.table(this.right) ?? this.table(this.left);
    const column = name !== "density" && table ? table.columns[name] : null;
    legend.hidden = !column;
    if (!column) return;
    const { css } = this.palettes[column.map];
    legend.querySelector(".bar").style.background = `linear-gradient(to right, ${[0, 64, 128, 192, 255].map((i) => css[i]).join(",")})`;
    legend.querySelector(".low").textContent = rounded(column.low);
    legend.querySelector(".high").textContent = rounded(column.high);
    legend.querySelector(".name").textContent = `${column.name} (${column.unit}${column.isLogarithmic ? ", logarithmic" : ""})`;
  }

  place(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return this.zoomer.viewport.pointFromPixel(new OpenSeadragon.Point(event.clientX - left, event.clientY - top), true);
  }

  // Say where a point is and, close by, which localization lies there.
  tell(point) {
    const view = this.view();
    const isRight = (point.x - view.left_um) * view.scale >= this.split * view.width;
    const table = this.shown === "single" && this.table(isRight ? this.right : this.left);
    const row = table ? table.nearest(point.x, point.y, (14 * view.sharpness) / view.scale) : -1;
    const where = `x ${point.x.toFixed(3)} µm · y ${point.y.toFixed(3)} µm`;
    this.box.querySelector(".readout").textContent = row < 0 ? where : `Localization: ${table.text(row)}`;
  }
}

// Show a picture from one x to another only.
function keep({ image, width_px, height_px, width_um }, from_um, to_um) {
  const [from, to] = [from_um, to_um].map((x) => Math.max(0, Math.min(1, x / width_um)) * width_px);
  image.setOpacity(to > from ? 1 : 0);
  if (to > from) image.setClip(new OpenSeadragon.Rect(from, 0, to - from, height_px));
}

function tileSource(layer) {
  const black = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==";
  const name = (level, x, y) => `${level}/${x}_${y}`;
  return {
    width: layer.width_px, height: layer.height_px, tileSize: layer.tile_px,
    minLevel: 0, maxLevel: layer.level_count - 1,
    getTileUrl: (level, x, y) => layer.tiles[name(level, x, y)] ?? black,
    getTileHashKey: (level, x, y) => `${layer.name}/${name(level, x, y)}`,
  };
}

function palette(text) {
  const rgb = unpacked(text, Uint8Array);
  return { rgb, css: Array.from({ length: 256 }, (_, i) => `rgb(${rgb.slice(3 * i, 3 * i + 3).join(" ")})`) };
}

const viewerBox = document.querySelector(".viewer");
if (viewerBox) {
  viewerBox.hidden = false;
  new Viewer(viewerBox, JSON.parse(document.getElementById("viewer-data").textContent));
}
