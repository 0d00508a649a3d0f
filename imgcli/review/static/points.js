// Draws many points: by WebGL2, or where there is none on a plain canvas. Both take
//   places  Float32Array(2 n), x right, y up
//   looks   Uint8Array(4 n): colour 0–7 or 8 for none, shape 0–3, state, 0 (a word for each point)
// and draw a view {x, y, scale}: the place in the middle, and CSS pixels per unit.

export const HIDDEN = 0, FAINT = 1, SHOWN = 2, ABOVE = 3; // states, in the order of drawing

const VERTEX = `#version 300 es
in vec2 place; in uvec4 look;
uniform vec2 middle, unit; uniform float size; uniform vec3 colours[9];
flat out vec4 colour; flat out int shape; flat out float width;
void main() {
  colour = vec4(colours[min(look.x, 8u)], look.z == 1u ? 0.18 : 0.85);
  shape = int(look.y);
  width = size * (look.z == 3u ? 1.35 : 1.0);
  gl_PointSize = width;
  // Points that are hidden lie outside of what is drawn; those above are nearer.
  gl_Position = look.z == 0u ? vec4(2.0, 2.0, 2.0, 1.0) : vec4((place - middle) * unit, 0.5 - 0.2 * float(look.z), 1.0);
}`;
// Points of fewer than 5 pixels are squares: no eye sees the difference, and it saves a third of
// the time where the processor draws.
const FRAGMENT = `#version 300 es
precision mediump float;
flat in vec4 colour; flat in int shape; flat in float width;
out vec4 drawn;
void main() {
  if (width >= 5.0) {
    vec2 at = abs(gl_PointCoord * 2.0 - 1.0);
    if (shape == 0 && dot(at, at) > 1.0) discard;
    if (shape == 2 && at.x > gl_PointCoord.y) discard;
    if (shape == 3 && at.x + at.y > 1.0) discard;
  }
  drawn = vec4(colour.rgb * colour.a, colour.a);
}`;

// Diameter in CSS pixels: larger the closer one looks and the fewer points there are.
export function diameter(view, n, whole) {
  const near = Math.sqrt(view.scale / whole);
  return Math.min(14, Math.max(2.5, 240 / Math.sqrt(n + 60)) * Math.max(1, near));
}

// A browser without a graphics card draws WebGL on the processor, 100,000 points at 5 frames a
// second; the plain canvas is faster there. `forced` is "webgl" or "canvas", to compare them.
export function drawing(canvas, places, forced) {
  const usable = forced === "webgl" || (forced !== "canvas" && hasGraphicsCard());
  const gl = usable && canvas.getContext("webgl2", { alpha: true, antialias: false });
  return gl ? byWebGL(canvas, gl, places) : byCanvas(canvas, places);
}

// Asked of another canvas, for one has a single kind of context all its life.
function hasGraphicsCard() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const known = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(known ? known.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

function byWebGL(canvas, gl, places) {
  const n = places.length / 2;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  const at = (name) => gl.getUniformLocation(program, name);
  const uniforms = { middle: at("middle"), unit: at("unit"), size: at("size"), colours: at("colours") };
  const buffer = (name, data, declare) => {
    const made = gl.createBuffer(), index = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(index);
    declare(index);
    return made;
  };
  buffer("place", places, (index) => gl.vertexAttribPointer(index, 2, gl.FLOAT, false, 0, 0));
  const looks = buffer("look", new Uint8Array(4 * n), (index) => gl.vertexAttribIPointer(index, 4, gl.UNSIGNED_BYTE, 0, 0));
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.enable(gl.DEPTH_TEST);
  gl.depthFunc(gl.LEQUAL);
  return {
    by: "WebGL",
    look(found, colours) {
      gl.bindBuffer(gl.ARRAY_BUFFER, looks);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, found);
      gl.uniform3fv(uniforms.colours, colours.flatMap((one) => one.map((part) => part / 255)));
    },
    draw(view, size) {
      const { width, height } = canvas, ratio = width / canvas.clientWidth;
      gl.viewport(0, 0, width, height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniform2f(uniforms.middle, view.x, view.y);
      gl.uniform2f(uniforms.unit, (2 * view.scale * ratio) / width, (2 * view.scale * ratio) / height);
      gl.uniform1f(uniforms.size, size * ratio);
      gl.drawArrays(gl.POINTS, 0, n);
    },
  };
}

// Written into the pixels of a picture, which for 100,000 points takes a few milliseconds.
function byCanvas(canvas, places) {
  const context = canvas.getContext("2d", { willReadFrequently: true }); // stays in main memory
  let picture = null, pixels = null, drawn = 0;
  const n = places.length / 2, xs = new Float32Array(n), ys = new Float32Array(n), words = new Uint32Array(n), shapes = new Uint8Array(n);
  return {
    by: "canvas",
    look(looks, colours) {
      drawn = 0;
      for (const state of [FAINT, SHOWN, ABOVE]) {
        for (let i = 0; i < n; i++) {
          if (looks[4 * i + 2] !== state) continue;
          const [red, green, blue] = colours[Math.min(looks[4 * i], 8)];
          xs[drawn] = places[2 * i];
          ys[drawn] = places[2 * i + 1];
          shapes[drawn] = looks[4 * i + 1];
          words[drawn++] = (([0, 46, 217, 255][state] << 24) | (blue << 16) | (green << 8) | red) >>> 0;
        }
      }
    },
    draw(view, size) {
      const { width, height } = canvas, ratio = width / canvas.clientWidth, scale = view.scale * ratio;
      if (picture?.width !== width || picture.height !== height) {
        picture = context.createImageData(width, height);
        pixels = new Uint32Array(picture.data.buffer);
      } else pixels.fill(0);
      const side = Math.max(2, Math.round(size * ratio));
      const right = width / 2 - view.x * scale - side / 2, down = height / 2 + view.y * scale - side / 2;
      const masks = [0, 1, 2, 3].map((shape) => mask(shape, side, width));
      for (let k = 0; k < drawn; k++) {
        const left = Math.round(xs[k] * scale + right), top = Math.round(down - ys[k] * scale), word = words[k];
        if (left < 0 || top < 0 || left + side > width || top + side > height) continue;
        const at = top * width + left, filled = masks[shapes[k]];
        for (let pixel = 0; pixel < filled.length; pixel++) pixels[at + filled[pixel]] = word;
      }
      context.putImageData(picture, 0, 0);
    },
  };
}

// Where a shape has pixels, counted from that of its left upper corner; as the shader above has it.
function mask(shape, side, width) {
  const found = [];
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
    const down = (y + 0.5) / side, dx = Math.abs(((x + 0.5) / side) * 2 - 1), dy = Math.abs(down * 2 - 1);
    const outside = [dx * dx + dy * dy > 1, false, dx > down, dx + dy > 1.05];
    if (side < 5 || !outside[shape]) found.push(y * width + x);
  }
  return Int32Array.from(found);
}

// Finds points near a place: the ids sorted by cell of a square grid.
export class Nearby {
  constructor(places, cells = 256) {
    const n = places.length / 2;
    Object.assign(this, { places, cells, starts: new Uint32Array(cells * cells + 1), ids: new Uint32Array(n) });
    const cell = (i) => this.cell(places[2 * i]) + cells * this.cell(places[2 * i + 1]);
    for (let i = 0; i < n; i++) this.starts[cell(i) + 1]++;
    for (let c = 0; c < cells * cells; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice();
    for (let i = 0; i < n; i++) this.ids[next[cell(i)]++] = i;
  }
  cell(value) {
    return Math.min(this.cells - 1, Math.max(0, Math.floor(((value + 1) / 2) * this.cells)));
  }
  // The nearest point within a distance that is wanted; -1 for none.
  nearest(x, y, distance, wanted) {
    let best = -1, least = distance * distance;
    for (let row = this.cell(y - distance); row <= this.cell(y + distance); row++) {
      const from = this.starts[this.cell(x - distance) + this.cells * row];
      const to = this.starts[this.cell(x + distance) + this.cells * row + 1];
      for (let k = from; k < to; k++) {
        const i = this.ids[k], dx = this.places[2 * i] - x, dy = this.places[2 * i + 1] - y;
        if (dx * dx + dy * dy <= least && wanted(i)) [best, least] = [i, dx * dx + dy * dy];
      }
    }
    return best;
  }
}

// Ids of the points inside a polygon of places [[x, y], …] (even-odd rule) that are wanted.
export function inside(places, polygon, wanted) {
  const xs = polygon.map((p) => p[0]), ys = polygon.map((p) => p[1]), found = [];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  for (let i = 0; i < places.length / 2; i++) {
    const x = places[2 * i], y = places[2 * i + 1];
    if (x < left || x > right || y < low || y > high || !wanted(i)) continue;
    let odd = false;
    for (let a = 0, b = xs.length - 1; a < xs.length; b = a++) {
      if (ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
    }
    if (odd) found.push(i);
  }
  return found;
}
