/* The models of the course in plain JavaScript, to be read beside its chapters.

   A table is { rows, size, data }: one row of `size` numbers a token, one after the
   other in a Float32Array. Weights carry PyTorch's names: layers.0.norm_1.weight is
   parts.layers[0].norm_1.weight. A text is one list of ids; there are no batches.
   Nothing here is global, and no function changes what it is given, save the cache. */

const table = (rows, size, data = new Float32Array(rows * size)) => ({ rows, size, data });
const row = (x, n) => x.data.subarray(n * x.size, (n + 1) * x.size);
const lastRow = x => table(1, x.size, row(x, x.rows - 1));
const map = (x, f) => table(x.rows, x.size, x.data.map(f));
const add = (x, y) => map(x, (number, n) => number + y.data[n]);

// --- Chapter 1: one number out of two rows.
const dot = (a, from, b, start, size) => {
  let sum = 0;
  for (let n = 0; n < size; n++) sum += a[from + n] * b[start + n];
  return sum;
};

// weight: (out, in), a row an output, as PyTorch has it. x: (time, in) to (time, out).
// Four outputs at once, so that a number of x is fetched for four products.
const linear = (x, { weight, bias }) => {
  const y = table(x.rows, weight.rows), w = weight.data, size = x.size;
  for (let i = 0; i < x.rows; i++) {
    const from = row(x, i), to = row(y, i);
    let o = 0;
    for (; o + 3 < to.length; o += 4) {
      let one = 0, two = 0, three = 0, four = 0, at = o * size;
      for (let n = 0; n < size; n++, at++) {
        const number = from[n];
        one += number * w[at];
        two += number * w[at + size];
        three += number * w[at + 2 * size];
        four += number * w[at + 3 * size];
      }
      to[o] = one; to[o + 1] = two; to[o + 2] = three; to[o + 3] = four;
    }
    for (; o < to.length; o++) to[o] = dot(from, 0, w, o * size, size);
    if (bias) for (o = 0; o < to.length; o++) to[o] += bias.data[o];
  }
  return y;
};

// --- Chapter 2: scores to weights that add up to 1, in place; all masked gives zeros.
const softmax = scores => {
  const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  if (top === -Infinity) return scores.fill(0);
  let total = 0;
  for (let j = 0; j < scores.length; j++) total += scores[j] = Math.exp(scores[j] - top);
  for (let j = 0; j < scores.length; j++) scores[j] /= total;
  return scores;
};

// --- Chapters 4 to 6. q: (n_queries, d_model); k, v: (n_keys, d_model).
// mask(i, j): may query i attend to key j? Returns the heads side by side, and of each
// head its weights (n_queries, n_keys).
const attention = (q, k, v, nHeads, mask) => {
  const output = table(q.rows, v.size), weights = [];
  const dK = q.size / nHeads, dV = v.size / nHeads;
  for (let head = 0; head < nHeads; head++) {
    const looks = table(q.rows, k.rows);
    for (let i = 0; i < q.rows; i++) {
      const scores = row(looks, i);
      for (let j = 0; j < k.rows; j++) {
        scores[j] = !mask(i, j) ? -Infinity : dot(
          q.data, i * q.size + head * dK, k.data, j * k.size + head * dK, dK,
        ) / Math.sqrt(dK);
      }
      softmax(scores);
      const mix = row(output, i).subarray(head * dV, (head + 1) * dV);
      for (let j = 0; j < k.rows; j++) {
        const from = j * v.size + head * dV;
        for (let n = 0; scores[j] && n < dV; n++) mix[n] += scores[j] * v.data[from + n];
      }
    }
    weights.push(looks);
  }
  return { output, weights };
};

// Queries from x, keys and values from source: x itself, or in cross-attention what the
// encoder gave. extend(k, v) adds what a cache holds; turn(x) is rotary; off(head) says
// which heads give nothing.
const multiHead = (x, source, part, nHeads, { mask, extend, turn = x => x, off }) => {
  let q = turn(linear(x, part.w_q)), k = turn(linear(source, part.w_k));
  let v = linear(source, part.w_v);
  if (extend) [k, v] = extend(k, v);
  const { output, weights } = attention(q, k, v, nHeads, mask);
  const silent = weights.map((_, head) => off?.(head));
  const heard = map(output, (number, n) =>
    silent[Math.floor(n % output.size * nHeads / output.size)] ? 0 : number);
  return { output: linear(heard, part.w_o), weights };
};

// --- Chapter 7. With a shift it is a LayerNorm, without one an RMSNorm (chapter 16).
const norm = (x, { weight, bias }) => {
  const y = table(x.rows, x.size);
  for (let i = 0; i < x.rows; i++) {
    const from = row(x, i), to = row(y, i);
    const mean = bias ? from.reduce((a, b) => a + b, 0) / x.size : 0;
    const square = from.reduce((a, b) => a + (b - mean) ** 2, 0) / x.size;
    const scale = 1 / Math.sqrt(square + (bias ? 1e-5 : 1e-6));
    for (let n = 0; n < x.size; n++) {
      to[n] = weight.data[n] * (from[n] - mean) * scale + (bias ? bias.data[n] : 0);
    }
  }
  return y;
};

const relu = x => Math.max(0, x);
// By tanh, as GPT-2 has it (chapter 13); (1 + tanh u) / 2 is 1 / (1 + e^-2u).
const gelu = x =>
  x / (1 + Math.exp(-Math.sqrt(8 / Math.PI) * (x + 0.044715 * x * x * x)));
const feedForward = (x, { widen, narrow }, activation) =>
  linear(map(linear(x, widen), activation), narrow);

const residual = (x, part, normFirst, sublayer) =>
  normFirst ? add(x, sublayer(norm(x, part))) : norm(add(x, sublayer(x)), part);

// --- Chapter 8: where a token stands. Rows count from the position `first`.
const angle = (position, pair, size) => position / 10000 ** (2 * pair / size);

const sinusoidal = (rows, size, first = 0) => map(table(rows, size), (_, n) => {
  const turn = angle(first + Math.floor(n / size), Math.floor(n % size / 2), size);
  return n % 2 ? Math.cos(turn) : Math.sin(turn);
});

const rotary = (x, nHeads, first = 0) => map(x, (number, n) => {
  const dK = x.size / nHeads, at = n % x.size % dK, even = at % 2 === 0;
  const turn = angle(first + Math.floor(n / x.size), Math.floor(at / 2), dK);
  const other = x.data[even ? n + 1 : n - 1];
  return number * Math.cos(turn) + (even ? -other : other) * Math.sin(turn);
});

const embed = ({ weight }, ids) => {
  const x = table(ids.length, weight.size);
  ids.forEach((id, i) => {
    if (!(id >= 0 && id < weight.rows)) {
      throw new RangeError(`the id ${id} is outside 0 to ${weight.rows - 1}`);
    }
    row(x, i).set(row(weight, id));
  });
  return x;
};

// --- Chapter 14: keys and values of what was read, a layer each.
class Cache {
  length = 0;
  layers = [];

  extend(layer, k, v, room) {
    const [keys, values] = this.layers[layer] ??= [k, v].map(x => table(room, x.size));
    keys.data.set(k.data, this.length * k.size);
    values.data.set(v.data, this.length * v.size);
    return [keys, values].map(x => table(this.length + k.rows, x.size, x.data));
  }
}

// --- Chapter 13. config: a GPTConfig; further positions: "rotary" or "sinusoidal" where
// there is no table of them, and activation: "relu".
class GPT {
  constructor({ config, parts }) {
    Object.assign(this, { config, parts });
  }

  // ids go on from what the cache has read. off: names of what is left out, a layer "1"
  // or a head "1.3". Returns the states after the tables and after each layer, each
  // (time, d_model), and the weights of each layer's heads.
  read(ids, { cache = new Cache(), off = new Set() } = {}) {
    const { config, parts } = this, before = cache.length;
    const { context_length: room, n_heads: nHeads } = config;
    if (before + ids.length > room) {
      throw new RangeError(`${before + ids.length} tokens are more than ${room}`);
    }
    const places = ids.map((_, i) => before + i);
    let x = embed(parts.tokens, ids);
    if (parts.positions) x = add(x, embed(parts.positions, places));
    if (config.positions === 'sinusoidal') x = add(x, sinusoidal(x.rows, x.size, before));
    const turn = config.positions === 'rotary' ? y => rotary(y, nHeads, before) : y => y;
    const activation = config.activation === 'relu' ? relu : gelu;
    const states = [x], weights = [];
    Object.values(parts.layers).forEach((part, n) => {
      const seen = residual(x, part.norm_1, true, y => {
        const { output, weights: looks } = multiHead(y, y, part.attention, nHeads, {
          mask: (i, j) => j <= before + i,
          extend: (k, v) => cache.extend(n, k, v, room),
          off: head => off.has(`${n}.${head}`),
          turn,
        });
        weights.push(looks);
        return output;
      });
      if (!off.has(`${n}`)) {
        x = residual(seen, part.norm_2, true, y =>
          feedForward(y, part.feed_forward, activation));
      }
      states.push(x);
    });
    cache.length += ids.length;
    return { states, weights };
  }

  // The output layer on any state: (time, d_model) to (time, vocab_size).
  logits(state) {
    return linear(norm(state, this.parts.norm), this.parts.head ?? this.parts.tokens);
  }
}

// --- Chapters 9 and 10. config: a TransformerConfig.
class Transformer {
  constructor({ config, parts }) {
    Object.assign(this, { config, parts });
  }

  embed(part, ids) {
    const x = map(embed(part, ids), number => number * Math.sqrt(this.config.d_model));
    return add(x, sinusoidal(x.rows, x.size));
  }

  finish(x, part) {
    return this.config.norm_first ? norm(x, part) : x;
  }

  // Source ids to the memory, (n_keys, d_model).
  encode(ids) {
    const { encoder, source_embedding } = this.parts;
    const { n_heads: nHeads, norm_first: first } = this.config, mask = () => true;
    let x = this.embed(source_embedding, ids);
    for (const part of Object.values(encoder.layers)) {
      x = residual(x, part.around_attention.norm, first, y =>
        multiHead(y, y, part.attention, nHeads, { mask }).output);
      x = residual(x, part.around_feed_forward.norm, first, y =>
        feedForward(y, part.feed_forward, relu));
    }
    return this.finish(x, encoder.norm);
  }

  // Target ids and the memory to logits (time, target_vocab_size), and the weights of
  // each layer's cross-attention.
  decode(ids, memory) {
    const { decoder, target_embedding, to_logits } = this.parts, weights = [];
    const { n_heads: nHeads, norm_first: first } = this.config;
    let x = this.embed(target_embedding, ids);
    for (const part of Object.values(decoder.layers)) {
      x = residual(x, part.around_self.norm, first, y =>
        multiHead(y, y, part.self_attention, nHeads, { mask: (i, j) => j <= i }).output);
      x = residual(x, part.around_cross.norm, first, y => {
        const looks = multiHead(y, memory, part.cross_attention, nHeads, {
          mask: () => true,
        });
        weights.push(looks.weights);
        return looks.output;
      });
      x = residual(x, part.around_feed_forward.norm, first, y =>
        feedForward(y, part.feed_forward, relu));
    }
    return { logits: linear(this.finish(x, decoder.norm), to_logits), weights };
  }
}

// --- Chapter 14: what a token is drawn from. logits: one row.
const nextProbabilities = (logits, { temperature = 1, topK = Infinity, topP = 1 }) => {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const first = logits.indexOf(top), sum = numbers => numbers.reduce((a, b) => a + b);
  const kept = Float64Array.from(logits, (score, id) =>
    temperature ? Math.exp((score - top) / temperature) : +(id === first));
  if (topK < kept.length || topP < 1) {
    const order = Uint32Array.from(logits.keys())
      .sort((a, b) => logits[b] - logits[a] || a - b);
    order.slice(topK).forEach(id => { kept[id] = 0; });
    const total = sum(kept);
    let above = 0;
    for (const id of order) {
      const share = kept[id] / total;
      if (topP < 1 && above >= topP) kept[id] = 0;
      above += share;
    }
  }
  const left = sum(kept);
  return kept.map(weight => weight / left);
};

// The n-th random number of a seed, in [0, 1): the same wherever and whenever it is
// asked for (two rounds of the mixing of MurmurHash3, A. Appleby 2011).
const uniform = (seed, n) => {
  const mix = h => {
    h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
    h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
    return h ^ h >>> 16;
  };
  return (mix(mix(seed + 0x9e3779b9 | 0) + n | 0) >>> 0) / 2 ** 32;
};

const draw = (probabilities, number) => {
  let id = probabilities.findIndex(p => (number -= p) < 0);
  if (id < 0) id = probabilities.findLastIndex(p => p > 0);  // rounding ate the rest
  return id;
};

// While a text fits nothing moves; then the last half of the context stays.
const firstVisible = (start, length, room) =>
  length - start <= room ? start : length - Math.max(1, Math.floor(room / 2));

// Draws token after token: yields ids without end. settings: of nextProbabilities, and
// seed, useCache, off; looked at anew for each token. start: where the text is visible.
function* stream(model, prompt, settings = {}, start = null) {
  if (!prompt.length) throw new RangeError('the prompt has no tokens: give one');
  const text = [...prompt], room = model.config.context_length;
  start ??= Math.max(0, text.length - room);
  let cache = new Cache();
  for (;;) {
    const { seed = 0, useCache = true, off } = settings;
    if (!useCache) cache = new Cache();
    const { states } = model.read(text.slice(start + cache.length), { cache, off });
    const logits = model.logits(lastRow(states.at(-1))).data;
    text.push(draw(nextProbabilities(logits, settings), uniform(seed, text.length)));
    yield text.at(-1);
    const next = firstVisible(start, text.length, room);
    if (next !== start) cache = new Cache();
    start = next;
  }
}

// --- Chapter 11: text to ids and back. A token's bytes are a string of as many
// characters below 256. \p{White_Space} is Python's \s; ſ is a lower-case S, too.
const PATTERNS = {
  cl100k: /'(?:[sdmtSDMTſ]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*|\p{White_Space}+$|\p{White_Space}*[\r\n]|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}/gu,
  gpt2: /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+$|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}/gu,
};
const toBytes = text => {
  if (/\p{Surrogate}/u.test(text)) throw new RangeError('half of a UTF-16 pair');
  const bytes = new TextEncoder().encode(text);
  return Array.from(bytes, byte => String.fromCharCode(byte)).join('');
};

// vocabulary: { tokens: the text of each id; pattern: none for characters }.
class Tokens {
  constructor({ tokens, pattern }) {
    this.bytes = pattern ? tokens : tokens.map(toBytes);
    this.pattern = PATTERNS[pattern] ?? /./gsu;
    this.ids = new Map(this.bytes.map((token, id) => [token, id]));
  }

  encode(text) {
    return (text.match(this.pattern) ?? []).flatMap(piece => this.join(toBytes(piece)));
  }

  // The pair that makes the token with the lowest id is joined, again and again.
  join(piece) {
    const parts = this.ids.has(piece) ? [piece] : [...piece];
    for (;;) {
      const made = parts.map((part, n) => this.ids.get(part + parts[n + 1]) ?? Infinity);
      const best = made.reduce((a, id, n) => id < made[a] ? n : a, 0);
      if (!(made[best] < Infinity)) break;
      parts.splice(best, 2, parts[best] + parts[best + 1]);
    }
    return parts.map(part => {
      if (this.ids.has(part)) return this.ids.get(part);
      throw new RangeError(`“${this.text(piece)}” is not among the ${this.ids.size}`);
    });
  }

  text(bytes) {
    const whole = Uint8Array.from(bytes, byte => byte.charCodeAt(0));
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole);
  }

  decode(ids) {
    return this.text(ids.map(id => this.bytes[id]).join(''));
  }
}

// --- Weights as dot2gpt.page.weights packs them: of int8 a scale a row comes first.
const unpack = ({ config, weights, data }) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  let at = 0;
  const take = (kind, n) => {
    const size = n * kind.BYTES_PER_ELEMENT;
    return new kind(bytes.slice(at, at += size).buffer);
  };
  const parts = {};
  for (const [name, rows, size, kind] of weights) {
    const scales = kind === 'int8' ? take(Float32Array, rows) : null;
    const numbers = take(scales ? Int8Array : Float32Array, rows * size);
    const path = name.split('.'), last = path.pop();
    const inner = path.reduce((part, key) => part[key] ??= {}, parts);
    inner[last] = table(rows, size, scales
      ? Float32Array.from(numbers, (number, n) => number * scales[Math.floor(n / size)])
      : numbers);
  }
  return { config, parts };
};
