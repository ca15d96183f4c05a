// URLs of pictures that Deckle serves. It runs wherever JavaScript does, depends on nothing, and asks no server.

/**
 * The options of a URL in canonical order: their names here and there, and how a value is spelled. A text goes through as it is.
 * @type {Array<[string, string, (value: any) => string | undefined]>}
 */
const options = [
  ["fit", "fit", text],
  ["gravity", "gravity", (v) => (v.x === undefined ? text(v) : `fp:${fraction(v.x)}:${fraction(v.y)}`)],
  ["enlarge", "enlarge", flag],
  ["crop", "crop", crop],
  ["trim", "trim", whole],
  ["rotate", "rotate", whole],
  ["flip", "flip", text],
  ["quality", "quality", whole],
  ["lossless", "lossless", flag],
  ["maxBytes", "max_bytes", whole],
  ["blur", "blur", strength],
  ["sharpen", "sharpen", strength],
  ["brightness", "brightness", whole],
  ["contrast", "contrast", whole],
  ["saturation", "saturation", whole],
  ["gray", "gray", flag],
  ["background", "background", (v) => text(v).replace(/^#/, "")],
  ["page", "page", whole],
  ["animate", "animate", (v) => (v === false ? "false" : undefined)],
  ["watermark", "watermark", watermark],
  ["preset", "preset", text],
  ["download", "download", text],
  ["placeholder", "placeholder", text],
  ["bytes", "proxy", flag],
  ["version", "v", text],
];

const spelled = new Map(options.map(([name, there]) => [there, name]));
const layout = new Set(["width", "height", "dpr", "format", "widths", "densities", "sizes", "formats"]);
const known = new Set([...options.map(([name]) => name), ...layout]);

/** The first parts of paths that name no picture. */
const reserved = new Set(["_health", "robots.txt", "favicon.ico", "token", "_confirm"]);

/** Media types of formats, for <source type>. */
const types = {
  avif: "image/avif", webp: "image/webp", jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png",
  gif: "image/gif", jxl: "image/jxl", heic: "image/heic", tif: "image/tiff", tiff: "image/tiff",
};

/**
 * Returns what builds URLs below a base, with options that all of them have.
 * @param {{base?: string} & import("./deckle.js").Options} settings
 */
export function deckle({ base = "", ...common } = {}) {
  const root = String(base).replace(/\/+$/, "");
  const url = (id, o = {}) => root + path(id, { ...common, ...o });
  const images = {
    url,
    /** The source in a format of its own, as it was uploaded if that is the format it has. */
    original: (id, format) => root + path(id, { format }),
    /** What is known of a source, as JSON. */
    info: (id) => root + path(id, { format: "json" }),
    srcset: (id, o = {}) => candidates(url, id, { ...common, ...o }).join(", "),
    img: (id, o = {}) => attributes(url, id, { ...common, ...o }),
    picture: (id, { formats = ["avif", "webp"], ...o } = {}) => {
      const all = { ...common, ...o };
      const sources = formats.map((format) => {
        if (!types[format]) throw new TypeError(`formats: ${format} is no format of pictures`);
        const { srcset, sizes } = attributes(url, id, { ...all, format });
        return { type: types[format], srcset, ...(sizes && { sizes }) };
      });
      return { sources, img: attributes(url, id, { ...all, format: o.format ?? "jpg" }) };
    },
  };
  return images;
}

/**
 * Returns the path and query of one picture, beginning with a slash.
 * @param {string} id
 * @param {import("./deckle.js").Options} o
 */
export function path(id, o = {}) {
  for (const name of Object.keys(o)) {
    if (!known.has(name)) throw new TypeError(`${name} is no option of a picture`);
  }
  const { width = 0, height = 0, dpr, format = "auto" } = o;
  let name = encodeID(id);
  const sized = width !== 0 || height !== 0;
  if (sized) {
    name += `_${side("width", width)}_${side("height", height)}`;
    if (dpr !== undefined) name += `_${ratio(dpr)}x`;
  } else if (/_\d+_\d+(_[\d.]+x)?$/.test(name)) {
    name += "_0_0"; // else the end of the id would be read as a size
  }
  if (!/^[a-z]+$/.test(format)) throw new TypeError(`format ${format}: want one as in webp, or auto`);
  const query = [];
  for (const [own, there, spell] of options) {
    const value = o[own];
    if (value === undefined || value === null) continue;
    const word = typeof value === "string" && own !== "background" ? value : spell(value);
    if (word !== undefined) query.push(`${there}=${escape(word)}`);
  }
  return `/${name}.${format}${query.length ? "?" + query.join("&") : ""}`;
}

/**
 * Reads the options of a query as Deckle spells them (max_bytes=20000&fit=crop), for loaders that know nothing but a URL.
 * @param {string} query
 */
export function fromQuery(query) {
  const o = {};
  for (const [there, value] of new URLSearchParams(query)) {
    const name = spelled.get(there);
    if (!name) throw new TypeError(`${there} is no option of a picture`);
    o[name] = value;
  }
  return o;
}

/**
 * Returns an id as a path spells it; what can be no id is a TypeError that says why.
 * @param {string} id
 */
export function encodeID(id) {
  const normal = String(id).normalize("NFC");
  const segments = normal.split("/");
  const bytes = (s) => new TextEncoder().encode(s).length;
  const wrong = (why) => new TypeError(`id ${JSON.stringify(id)}: ${why}`);
  if (bytes(normal) > 255 || segments.length > 8) throw wrong("it has more than 255 bytes or 8 segments");
  if (reserved.has(segments[0])) throw wrong("its first segment means something else");
  for (const segment of segments) {
    if (segment === "" || segment.startsWith(".")) throw wrong("a segment is empty or begins with a dot");
    if (bytes(segment) > 128) throw wrong("a segment has more than 128 bytes");
    if (!/^[\p{L}\p{Nd}\p{M}._~-]+$/u.test(segment)) throw wrong("want letters, digits, . _ ~ - and slashes");
  }
  return segments.map(encodeURIComponent).join("/");
}

/** The candidates of a srcset: by width where widths are given, else by density. */
function candidates(url, id, { widths, densities, sizes, ...o }) {
  if (widths) {
    const shape = o.width && o.height ? o.height / o.width : 0;
    return [...new Set(widths)].map((width) => {
      const height = shape ? Math.max(1, Math.round(width * shape)) : 0;
      return `${url(id, { ...o, width, height })} ${width}w`;
    });
  }
  return (densities ?? [1, 2]).map((dpr) => `${url(id, { ...o, dpr })} ${ratio(dpr)}x`);
}

/** The attributes of an <img>. */
function attributes(url, id, { widths, densities, sizes, ...o }) {
  const fixed = o.width || o.height;
  const img = { src: url(id, widths && !fixed ? { ...o, width: Math.max(...widths) } : o) };
  if (widths || fixed) img.srcset = candidates(url, id, { widths, densities, ...o }).join(", ");
  if (widths) img.sizes = sizes ?? "100vw";
  if (o.width && o.height) Object.assign(img, { width: o.width, height: o.height });
  return img;
}

// How values are spelled.

function text(value) {
  return String(value);
}

function flag(value) {
  return value ? "true" : undefined;
}

function whole(value) {
  if (!Number.isInteger(value) || value < 0) throw new RangeError(`${value}: want a whole number`);
  return String(value);
}

function strength(value) {
  return typeof value === "boolean" ? flag(value) : decimal(value, 2);
}

/** A number with at most so many decimals, and never with an exponent. */
function decimal(value, places) {
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${value}: want a number`);
  const fixed = value.toFixed(places);
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

function fraction(value) {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`${value}: want a fraction from 0 to 1`);
  return decimal(value, 6);
}

function side(name, value) {
  const n = Math.round(value);
  if (!(n >= 0 && n <= 99999)) throw new RangeError(`${name} ${value}: want pixels, up to 99999`);
  return n;
}

function ratio(value) {
  if (!(value >= 0.01 && value <= 20)) throw new RangeError(`dpr ${value}: want device pixels for each CSS pixel, up to 20`);
  return decimal(value, 2);
}

function crop(value) {
  if (Array.isArray(value)) return value.map(whole).join(",");
  return [value.x0, value.y0, value.x1, value.y1].map(fraction).join(":");
}

function watermark({ name, gravity = "southeast", scale = 0.25, opacity = 1 }) {
  return [name, gravity, decimal(scale, 2), decimal(opacity, 2)].join(",");
}

/** Percent-encodes a value; what may stand in a query as it is stays readable. */
function escape(value) {
  return encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":");
}
