// Localizations of one branch: unpacked from the page's compact columns, found and drawn.

const STEPS = 65535;
// Localizations are drawn one by one where the typical uncertainty is at least so many pixels
// long, and where no more than this many are in sight.
const SINGLE_PX = 2.5;
const SINGLES_AT_MOST = 30000;
const GRAIN_PX = 2;
const PLAIN_COLOUR = "#7fd9ff";

function unpacked(text, Kind) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Kind(bytes.buffer);
}

// What localizations can be coloured by: a value each, with the ends of its colours.
class Column {
  constructor({ name, unit, map, values, low, high, isLogarithmic }) {
    Object.assign(this, { name, unit, map, values, low, high, isLogarithmic });
  }

  static ofSteps(packed, range) {
    const { low, high } = packed;
    const isLogarithmic = packed.is_logarithmic;
    const steps = unpacked(packed.steps, Uint16Array);
    const values = Float32Array.from(steps, (step) =>
      isLogarithmic ? low * (high / low) ** (step / STEPS) : low + ((high - low) * step) / STEPS);
    return new Column({
      name: packed.name, unit: packed.unit, map: "cividis", values, isLogarithmic,
      low: range[0], high: range[1],
    });
  }

  // The number of each localization's colour, 0 to 255.
  colours() {
    if (this.indices) return this.indices;
    const scaled = this.isLogarithmic ? Math.log : (value) => value;
    const low = scaled(this.low);
    const span = scaled(this.high) - low || 1;
    this.indices = Uint8Array.from(this.values, (value) =>
      Math.max(0, Math.min(255, Math.round(((scaled(value) - low) / span) * 255))));
    return this.indices;
  }
}

class Table {
  constructor(packed, field) {
    this.total = packed.total;
    this.count = packed.count;
    this.x = this.positions(packed.x, field.width_um);
    this.y = this.positions(packed.y, field.height_um);
    this.frame = this.frames(unpacked(packed.rows_per_frame, Uint32Array));
    this.rate = field.frame_rate_hz;
    this.columns = { time: this.time(unpacked(packed.rows_per_frame, Uint32Array).length) };
    for (const [name, column] of Object.entries(packed.values)) {
      this.columns[name] = Column.ofSteps(column, field.ranges[name]);
    }
    const spread = this.columns.uncertainty_nm;
    this.typical_um = (spread ? median(spread.values) : field.pixel_nm) / 1000;
  }

  positions(text, length_um) {
    return Float32Array.from(unpacked(text, Uint16Array), (step) => (step / STEPS) * length_um);
  }

  frames(rowsPerFrame) {
    const frames = new Uint32Array(this.count);
    let row = 0;
    rowsPerFrame.forEach((rows, frame) => frames.fill(frame, row, (row += rows)));
    return frames;
  }

  time(frameCount) {
    const rate = this.rate || 1;
    return new Column({
      name: "time", unit: this.rate ? "s" : "frames", map: "viridis", isLogarithmic: false,
      values: Float32Array.from(this.frame, (frame) => frame / rate),
      low: 0, high: Math.max(1, frameCount - 1) / rate,
    });
  }

  // Rows within a rectangle, at most so many; null where there are more.
  rowsWithin({ left, right, top, bottom }, most) {
    const rows = [];
    for (let i = 0; i < this.count; i++) {
      if (this.x[i] < left || this.x[i] > right || this.y[i] < top || this.y[i] > bottom) continue;
      if (rows.length === most) return null;
      rows.push(i);
    }
    return rows;
  }

  nearest(x, y, reach_um) {
    let found = -1;
    let best = reach_um ** 2;
    for (let i = 0; i < this.count; i++) {
      const distance = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (distance <= best) [found, best] = [i, distance];
    }
    return found;
  }

  text(row) {
    const parts = [`frame ${this.frame[row].toLocaleString("en")}`];
    if (this.rate) parts.push(`${(this.frame[row] / this.rate).toFixed(2)} s`);
    parts.push(`x ${this.x[row].toFixed(3)} µm`, `y ${this.y[row].toFixed(3)} µm`);
    const { photons, uncertainty_nm: spread, z_nm: height } = this.columns;
    if (height) parts.push(`z ${height.values[row].toFixed(0)} nm`);
    if (photons) parts.push(`${rounded(photons.values[row])} photoelectrons`);
    if (spread) parts.push(`uncertainty ${rounded(spread.values[row])} nm`);
    return parts.join(" · ");
  }
}

function median(values) {
  const sorted = Float32Array.from(values).sort();
  return sorted.length ? sorted[sorted.length >> 1] : 0;
}

// A measured number with three digits, or so many, and all of those before the point.
function rounded(value, digits = 3) {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(digits)));
}

// Draw a table into the part of a canvas from pixel `from` to pixel `to`. `view` says what the
// canvas shows: left_um, top_um and scale in pixels per µm. Returns how: "single", "cloud" or "".
function drawTable(context, table, view, from, to, column, palette) {
  const { width, height } = context.canvas;
  const margin = 4 * table.typical_um;
  const rows = table.typical_um * view.scale < SINGLE_PX ? null : table.rowsWithin({
    left: view.left_um + from / view.scale - margin, right: view.left_um + to / view.scale + margin,
    top: view.top_um - margin, bottom: view.top_um + height / view.scale + margin,
  }, SINGLES_AT_MOST);
  context.save();
  context.beginPath();
  context.rect(from, 0, Math.min(to, width) - from, height);
  context.clip();
  if (column) {
    context.fillStyle = "#000";
    context.fillRect(from, 0, to - from, height);
  }
  if (rows) drawSingles(context, table, rows, view, column, palette);
  else if (column) drawCloud(context, table, view, from, to, column, palette);
  context.restore();
  return rows ? "single" : column ? "cloud" : "";
}

// A circle of one standard deviation for each localization, with its middle.
function drawSingles(context, table, rows, view, column, palette) {
  const spread = table.columns.uncertainty_nm;
  const colours = column && column.colours();
  for (const i of rows) {
    const x = (table.x[i] - view.left_um) * view.scale;
    const y = (table.y[i] - view.top_um) * view.scale;
    const radius = (spread ? spread.values[i] / 1000 : table.typical_um) * view.scale;
    context.fillStyle = context.strokeStyle = column ? palette.css[colours[i]] : PLAIN_COLOUR;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.globalAlpha = 0.22;
    context.fill();
    context.globalAlpha = 0.9;
    context.stroke();
    context.fillRect(x - 1, y - 1, 2, 2);
  }
  context.globalAlpha = 1;
}

// Seen from afar: the mean colour of the localizations in each grain, the brighter the more.
function drawCloud(context, table, view, from, to, column, palette) {
  const left = Math.max(0, Math.floor(from));
  const width = Math.ceil((Math.min(context.canvas.width, to) - left) / GRAIN_PX);
  const height = Math.ceil(context.canvas.height / GRAIN_PX);
  if (width < 1 || height < 1) return;
  const { counts, sums, full } = gathered(table, column.colours(), view, left, width, height);
  const grains = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  counts.forEach((count, grain) => {
    const bright = count && Math.min(1, 0.45 + (0.55 * count) / full);
    const at = count && 3 * Math.round(sums[grain] / count);
    for (let c = 0; c < 3; c++) image.data[4 * grain + c] = palette.rgb[at + c] * bright;
    image.data[4 * grain + 3] = 255;
  });
  grains.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(grains, left, 0, width * GRAIN_PX, height * GRAIN_PX);
}

// How many localizations lie in each grain, and the sum of the numbers of their colours.
function gathered(table, colours, view, left, width, height) {
  const counts = new Uint32Array(width * height);
  const sums = new Uint32Array(width * height);
  const scale = view.scale / GRAIN_PX;
  const left_um = view.left_um + left / view.scale;
  for (let i = 0; i < table.count; i++) {
    const x = Math.floor((table.x[i] - left_um) * scale);
    const y = Math.floor((table.y[i] - view.top_um) * scale);
    if (x < 0 || x >= width || y < 0 || y >= height) continue;
    counts[y * width + x]++;
    sums[y * width + x] += colours[i];
  }
  const lit = counts.filter((count) => count > 0);
  const full = Math.max(1, (2 * lit.reduce((sum, count) => sum + count, 0)) / (lit.length || 1));
  return { counts, sums, full };
}
