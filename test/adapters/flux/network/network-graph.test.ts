/** @file Every layer of Flux gives what its definition gives, on column-major arrays. */
import t from 'tap'
import { readFlux } from '../../../../adapters/flux/index.js'
import { GraphError } from '../../../../core/errors/errors.js'
import { at, byChannel, type Column, column, conv, convTranspose, dense as denseOf, difference, map, pool, relu,
  reshape, run, sigmoid, standardise, zeros } from '../column-major.js'
import { array, backref, chain, dense, file, float32, fn, identity, int, ints, type Lowered, namedTuple, struct, symbol,
  tuple } from '../julia-writer.js'
import { lowered, near, random, same, some } from '../same-network.js'

t.test('Dense and activations', async t => {
  const [w, b, x] = [some(3, 4), some(3), some(4, 5)]
  const z = denseOf(w, b, x)
  const softplus = (v: number): number => Math.log1p(Math.exp(v))
  const functions: Record<string, (v: number) => number> = {
    'Main.Base.tanh': Math.tanh,
    'NNlib.relu': v => Math.max(v, 0),
    'NNlib.σ': sigmoid,
    'NNlib.sigmoid_fast': sigmoid,
    'NNlib.leakyrelu': v => (v > 0 ? v : 0.01 * v),
    'NNlib.elu': v => (v >= 0 ? v : Math.exp(v) - 1),
    'NNlib.selu': v => 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * (Math.exp(v) - 1)),
    'NNlib.swish': v => v * sigmoid(v),
    'NNlib.softplus': softplus,
    'NNlib.gelu': v => v / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
    'NNlib.gelu_sigmoid': v => v * sigmoid(Math.sqrt(8 / Math.PI) * v * (1 + 0.044715 * v * v)),
    'NNlib.mish': v => v * Math.tanh(softplus(v)),
    'NNlib.hardtanh': v => Math.min(Math.max(v, -1), 1),
    'NNlib.hardσ': v => Math.min(Math.max((v + 3) / 6, 0), 1),
    'NNlib.relu6': v => Math.min(Math.max(v, 0), 6),
    'NNlib.logσ': v => -softplus(-v),
    'NNlib.softsign': v => v / (1 + Math.abs(v)),
    'NNlib.softshrink': v => (v > 0.5 ? v - 0.5 : v < -0.5 ? v + 0.5 : 0),
    'NNlib.tanhshrink': v => v - Math.tanh(v),
    'NNlib.lisht': v => v * Math.tanh(v),
    'NNlib.logcosh': v => Math.log(Math.cosh(v)),
    'NNlib.trelu': v => (v > 1 ? v : 0),
    'NNlib.hardswish': v => v * Math.min(Math.max((v + 3) / 6, 0), 1),
    'NNlib.celu': v => (v >= 0 ? v : Math.exp(v) - 1),
  }
  for (const [name, f] of Object.entries(functions)) {
    same(t, struct('Flux.Dense', [lowered(w), lowered(b), fn(name)]), x, map(z, f), name)
    same(t, chain(struct('Flux.Dense', [lowered(w), lowered(b), identity]), fn(name)), x, map(z, f),
      `${name} as a layer`)
  }
  same(t, struct('Flux.Dense', [lowered(w), false, identity]), x, denseOf(w, undefined, x), 'without bias')
  same(t, struct('Flux.Dense', [lowered(w), struct('Flux.Zeros', [ints(3)]), identity]), x, denseOf(w, undefined, x),
    'with Flux.Zeros')
  const tracked = (value: Column): Lowered =>
    struct('Tracker.TrackedArray', [struct('Tracker.Tracked', [int(0)]), lowered(value), lowered(zeros(...value.size))])
  same(t, struct('Flux.Dense', [tracked(w), tracked(b), identity]), x, z, 'tracked arrays')
  const transposed = column([4, 3], Array.from({ length: 12 }, (_, i) => w.data[Math.floor(i / 4) + 3 * (i % 4)]))
  same(t, struct('Flux.Dense', [struct('LinearAlgebra.Transpose', [lowered(transposed)]), lowered(b), identity]), x, z,
    'a transposed weight')
  const wide = readFlux(file({ model: struct('Flux.Dense', [lowered(w, 'Float64'), lowered(b, 'Float64'), identity]) }))
  t.equal(wide.inputs[0].dtype, 'float64')
  t.throws(() => readFlux(file({ model: chain(dense(2, 2, random(4), false), fn('Main.mystery')) })), {
    code: 'UNSUPPORTED_OPERATOR',
    message: /mystery/,
  })
})

t.test('Chain as tuple, list and with names; parameters in Flux order', async t => {
  const layers = [dense(3, 2, random(6), random(3), fn('NNlib.relu')), dense(1, 3, random(3), random(1))]
  const x = some(2, 4)
  const first = run(readFlux(file({ model: chain(...layers) })), x)
  for (const [name, model] of Object.entries({ list: struct('Flux.Chain', [layers]),
    named: struct('Flux.Chain', [namedTuple({ hidden: layers[0], out: layers[1] })]) })) same(t, model, x, first, name)
  t.same(
    readFlux(file({ model: struct('Flux.Chain', [namedTuple({ hidden: layers[0], out: layers[1] })]) })).parameters.map(
      p => [p.name, ...p.shape],
    ),
    [['layers.hidden.weight', 3, 2], ['layers.hidden.bias', 3], ['layers.out.weight', 1, 3], ['layers.out.bias', 1]],
  )
})

t.test('convolutions: true convolution, strides, paddings, dilation, groups', async t => {
  const x = some(7, 6, 2, 3)
  const w = some(3, 2, 2, 4)
  const b = some(4)
  const conv7 = (weight: Column, stride: Lowered, pad: Lowered, dilation: Lowered, groups = 1,
    name = 'Conv'): Lowered =>
    struct(`Flux.${name}`, [identity, lowered(weight), lowered(b), stride, pad, dilation,
      ...(name === 'Conv' ? [int(groups)] : [])])
  const size = { inputSize: [2, 6, 7] }
  same(t, conv7(w, ints(1, 1), ints(0, 0), ints(1, 1)), x, conv(x, w, b), 'plain', size)
  same(t, conv7(w, ints(2, 1), ints(1, 0, 2, 1), ints(1, 2)), x,
    conv(x, w, b, { stride: [2, 1], pad: [1, 0, 2, 1], dilation: [1, 2] }), 'all at once', size)
  same(t, conv7(w, ints(1, 1), ints(1, 2), ints(1, 1)), x, conv(x, w, b, { pad: [1, 1, 2, 2] }), 'symmetric padding',
    size)
  const grouped = some(3, 2, 1, 4)
  same(t, conv7(grouped, ints(1, 1), ints(0, 0, 0, 0), ints(1, 1), 2), x, conv(x, grouped, b, { groups: 2 }), 'groups',
    size)
  same(t, conv7(w, ints(1, 1), ints(0, 0), ints(1, 1), 1, 'CrossCor'), x, conv(x, w, b, { flip: false }), 'CrossCor',
    size)
  same(t, struct('Flux.Conv', [fn('NNlib.relu'), lowered(w), lowered(b), ints(1, 1), ints(0, 0), ints(1, 1)]), x,
    relu(conv(x, w, b)), 'six fields', size)
  same(t, struct('Flux.Conv', [identity, lowered(w), lowered(b), ints(1, 1), ints(0, 0)]), x, conv(x, w, b),
    'five fields', size)
  // An old depthwise weight is (w, h, multiplier, channels).
  const depthwise = some(3, 2, 2, 2)
  same(t, conv7(depthwise, ints(1, 1), ints(0, 0), ints(1, 1), 1, 'DepthwiseConv'), x,
    conv(x, reshape(depthwise, 3, 2, 1, 4), b, { groups: 2 }), 'DepthwiseConv', size)
  const up = some(3, 2, 4, 2)
  same(t,
    struct('Flux.ConvTranspose', [identity, lowered(up), lowered(b), ints(2, 1), ints(1, 0, 0, 1), ints(1, 1), int(1)]),
    x, convTranspose(x, up, b, { stride: [2, 1], pad: [1, 0, 0, 1] }), 'ConvTranspose', size)
})

t.test('pools', async t => {
  const x = some(7, 6, 2, 3)
  const size = { inputSize: [2, 6, 7] }
  same(t, chain(struct('Flux.MaxPool', [ints(3, 2), ints(1, 0, 0, 0), ints(2, 2)]), fn('Main.Base.identity')), x,
    pool(x, 'max', [3, 2], [2, 2], [1, 0, 0, 0]), 'MaxPool', size)
  same(t, chain(struct('Flux.MeanPool', [ints(3, 2), ints(1, 1), ints(3, 2)])), x,
    pool(x, 'mean', [3, 2], [3, 2], [1, 1, 1, 1]), 'MeanPool counts padding', size)
  same(t, chain(struct('Flux.AdaptiveMaxPool', [ints(3, 2)])), x, pool(x, 'max', [3, 3], [2, 3]), 'AdaptiveMaxPool',
    size)
  same(t, chain(struct('Flux.AdaptiveMeanPool', [ints(3, 2)])), x, pool(x, 'mean', [3, 3], [2, 3]), 'AdaptiveMeanPool',
    size)
  same(t, chain(struct('Flux.GlobalMaxPool', [])), x, pool(x, 'max', [7, 6], [1, 1]), 'GlobalMaxPool', size)
  same(t, chain(struct('Flux.GlobalMeanPool', []), fn('MLUtils.flatten')), x,
    reshape(pool(x, 'mean', [7, 6], [1, 1]), 2, 3), 'GlobalMeanPool and flatten', size)
})

t.test('normalisations of every version', async t => {
  const [beta, gamma, mu] = [some(4), some(4), some(4)]
  const variance = map(some(4), v => v * v + 0.1)
  const eps = Math.fround(1e-5)
  const x = some(4, 5)
  const image = some(3, 2, 4, 5)
  const size = { inputSize: [4, 2, 3] }
  const head = [fn('NNlib.relu'), lowered(beta), lowered(gamma), lowered(mu), lowered(variance), float32(eps),
    float32(0.1)]
  const norm = (value: Column): Column =>
    relu(
      byChannel(value, (v, c) => gamma.data[c] * (v - mu.data[c]) / Math.sqrt(variance.data[c] + eps) + beta.data[c]),
    )
  const tail = [true, true, null, int(4)]
  same(t, struct('Flux.Chain', [tuple(struct('Flux.BatchNorm', [...head, ...tail]))]), x, norm(x),
    'BatchNorm of 11 fields')
  same(t, chain(struct('Flux.BatchNorm', [...head, false])), x, norm(x), 'BatchNorm of 8 fields')
  same(t, chain(struct('Flux.BatchNorm', head)), x, norm(x), 'BatchNorm of 7 fields')
  same(t, chain(struct('Flux.BatchNorm', [...head, ...tail])), image, norm(image), 'BatchNorm of images', size)
  t.same(readFlux(file({ model: chain(struct('Flux.BatchNorm', head)) })).parameters.map(p => p.name), ['layers.1.β',
    'layers.1.γ'])
  t.throws(
    () =>
      readFlux(
        file({
          model: chain(
            struct('Flux.BatchNorm', [identity, lowered(beta), lowered(gamma), null, null, float32(eps), float32(0.1),
              true, false, null, int(4)]),
          ),
        }),
      ),
    { code: 'BATCH_AXIS' },
  )
  const noStatistics = [null, null, float32(eps), float32(0.1), true, false, null, int(4)]
  const affine = (value: Column): Column => byChannel(value, (v, c) => gamma.data[c] * v + beta.data[c])
  const perSlice = (value: Column, length: number): Column =>
    affine(standardise(value, length, (v, mean, spread) => (v - mean) / Math.sqrt(spread + eps)))
  same(t, chain(struct('Flux.InstanceNorm', [identity, lowered(beta), lowered(gamma), ...noStatistics])), image,
    perSlice(image, 6), 'InstanceNorm', size)
  same(t, chain(struct('Flux.GroupNorm', [int(2), identity, lowered(beta), lowered(gamma), ...noStatistics])), image,
    perSlice(image, 12), 'GroupNorm', size)
  const layerNorm = (value: Column, epsilon: number): Column =>
    standardise(value, 4, (v, mean, spread) => (v - mean) / (Math.sqrt(spread) + epsilon))
  const scaled = (value: Column): Column => ({ size: value.size,
    data: value.data.map((v, i) => gamma.data[i % 4] * v + beta.data[i % 4]) })
  same(t, struct('Flux.Chain', [
    tuple(
      struct('Flux.LayerNorm', [identity, struct('Flux.Scale', [lowered(gamma), lowered(beta), fn('Main.Base.tanh')]),
        float32(eps), ints(4), true]),
    ),
  ]), x, map(scaled(layerNorm(x, eps)), Math.tanh), 'LayerNorm')
  same(t,
    struct('Flux.Chain', [tuple(struct('Flux.LayerNorm', [struct('Flux.Diagonal', [lowered(gamma), lowered(beta)])]))]),
    x, scaled(layerNorm(x, 1e-5)), 'LayerNorm of one field')
  same(t, chain(struct('Flux.Scale', [lowered(gamma), false, identity])), x, { size: x.size,
    data: x.data.map((v, i) => gamma.data[i % 4] * v) }, 'Scale without bias')
})

t.test('SkipConnection, Parallel, Maxout, Bilinear, Dropout', async t => {
  const x = some(3, 4)
  const [w, v] = [some(3, 3), some(3, 3)]
  const plain = (weight: Column): Lowered => struct('Flux.Dense', [lowered(weight), false, identity])
  const [a, b] = [denseOf(w, undefined, x), denseOf(v, undefined, x)]
  const sum = (p: Column, q: Column): Column => ({ size: p.size, data: p.data.map((value, i) => value + q.data[i]) })
  const stacked = (p: Column, q: Column): Column => {
    const rows = p.size[0] + q.size[0]
    return column([rows, 4], Array.from({ length: rows * 4 }, (_, i) => (i % rows < p.size[0]
      ? p.data[i % rows + p.size[0] * Math.floor(i / rows)]
      : q.data[i % rows - p.size[0] + q.size[0] * Math.floor(i / rows)])))
  }
  same(t, chain(struct('Flux.SkipConnection', [plain(w), fn('Main.Base.+')])), x, sum(a, x), 'SkipConnection with +')
  same(t, struct('Flux.SkipConnection', [plain(w), fn('Base.vcat')]), x, stacked(a, x), 'SkipConnection with vcat')
  same(t, struct('Flux.Parallel', [fn('Base.+'), tuple(plain(w), plain(v))]), x, sum(a, b), 'Parallel with +')
  same(t, struct('Flux.Parallel', [fn('Base.vcat'), namedTuple({ left: plain(w), right: plain(v) })]), x, stacked(a, b),
    'Parallel with names')
  same(t, struct('Flux.Maxout', [tuple(plain(w), plain(v))]), x, { size: a.size,
    data: a.data.map((value, i) => Math.max(value, b.data[i])) }, 'Maxout')
  const bilinear = some(2, 3, 3)
  const expected = zeros(2, 4)
  for (let n = 0; n < 4; n++) {
    for (let o = 0; o < 2; o++) {
      for (let i = 0; i < 3; i++) {
        for (let j = 0; j < 3; j++) {
          expected.data[o + 2 * n] += bilinear.data[at(bilinear, o, i, j)] *
            x.data[i + 3 * n] * x.data[j + 3 * n]
        }
      }
    }
  }
  same(t, struct('Flux.Bilinear', [lowered(bilinear), false, identity]), x, expected, 'Bilinear')
  same(t,
    chain(struct('Flux.Dropout', [0.5, struct('Base.Colon', []), null, struct('Random.TaskLocalRNG', [])]), plain(w),
      struct('Flux.AlphaDropout', [0.5, null])), x, a, 'Dropout')
})

t.test('Embedding, Upsample, PixelShuffle', async t => {
  const table = some(2, 5)
  const tokens = column([3, 2], [1, 5, 2, 4, 4, 3])
  const graph = readFlux(
    file({
      model: chain(struct('Flux.Embedding', [lowered(table)]), fn('Flux.flatten'), dense(1, 6, random(6), false)),
    }),
  )
  t.equal(graph.inputs[0].dtype, 'int64')
  t.equal(graph.inputs[0].shape[1], 3, 'the length follows from the Dense layer')
  const looked = run(readFlux(file({ model: struct('Flux.Embedding', [lowered(table)]) }), { inputSize: 3 }), tokens)
  t.ok(
    difference(looked,
      column([2, 3, 2],
        Array.from(tokens.data).flatMap(token => [...table.data.subarray(2 * (token - 1), 2 * token)]))) < near,
    'Embedding',
  )
  const image = some(3, 2, 4, 2)
  const size = { inputSize: [4, 2, 3] }
  const nearest = zeros(6, 4, 4, 2)
  nearest.data.forEach((_, i) => {
    const [u, v, c, n] = [i % 6, Math.floor(i / 6) % 4, Math.floor(i / 24) % 4, Math.floor(i / 96)]
    nearest.data[i] = image.data[at(image, u >> 1, v >> 1, c, n)]
  })
  same(t, chain(struct('Flux.Upsample', [int(2), null], symbol('nearest'))), image, nearest, 'Upsample nearest', size)
  const linear = zeros(6, 4, 4, 2)
  const interpolate = (position: number, length: number, value: (i: number) => number): number => {
    const left = Math.min(Math.floor(position), length - 1)
    const right = Math.min(left + 1, length - 1)
    return value(left) * (1 - position + left) + value(right) * (position - left)
  }
  linear.data.forEach((_, i) => {
    const [u, v, c, n] = [i % 6, Math.floor(i / 6) % 4, Math.floor(i / 24) % 4, Math.floor(i / 96)]
    linear.data[i] = interpolate(u * 2 / 5, 3, p => interpolate(v * 1 / 3, 2, q => image.data[at(image, p, q, c, n)]))
  })
  same(t, chain(struct('Flux.Upsample', [int(2), null], symbol('bilinear'))), image, linear,
    'Upsample bilinear keeps corners', size)
  const shuffled = zeros(6, 4, 1, 2)
  shuffled.data.forEach((_, i) => {
    const [u, v, n] = [i % 6, Math.floor(i / 6) % 4, Math.floor(i / 24)]
    shuffled.data[i] = image.data[at(image, u >> 1, v >> 1, (u & 1) + 2 * (v & 1), n)]
  })
  same(t, chain(struct('Flux.PixelShuffle', [int(2)])), image, shuffled, 'PixelShuffle', size)
})

t.test('recurrent layers: one step and sequences', async t => {
  const [inputs, units, times] = [3, 2, 4]
  const x = some(inputs, times, 2)
  const step = { RNN: 1, LSTM: 4, GRU: 3 }
  for (const [name, gates] of Object.entries(step)) {
    const [wi, wh, b] = [some(gates * units, inputs), some(gates * units, units), some(gates * units)]
    const state = some(units, 1)
    const expected = zeros(units, times, 2)
    for (const [start, check] of [[zeros(units, 1), 'sequence'], [state, 'step']] as const) {
      for (let n = 0; n < 2; n++) {
        let h = Array.from(start.data)
        let c = Array.from(start.data)
        for (let time = 0; time < times; time++) {
          const input =
            denseOf(wi, b,
              column([inputs, 1], x.data.subarray(inputs * (time + times * n), inputs * (time + 1 + times * n)))).data
          const hidden = denseOf(wh, undefined, column([units, 1], h)).data
          const [hp, cp] = [h, c]
          if (name === 'RNN') h = hp.map((_, i) => Math.tanh(input[i] + hidden[i]))
          if (name === 'LSTM') {
            const z = input.map((v, i) => v + hidden[i])
            c = cp.map((v, i) => sigmoid(z[units + i]) * v + sigmoid(z[i]) * Math.tanh(z[2 * units + i]))
            h = c.map((v, i) => sigmoid(z[3 * units + i]) * Math.tanh(v))
          }
          if (name === 'GRU') {
            h = hp.map((v, i) => {
              const [r, u] = [sigmoid(input[i] + hidden[i]), sigmoid(input[units + i] + hidden[units + i])]
              return (1 - u) * Math.tanh(input[2 * units + i] + r * hidden[2 * units + i]) + u * v
            })
          }
          h.forEach((v, i) => {
            expected.data[i + units * (time + times * n)] = v
          })
        }
      }
      const activation = name === 'RNN' ? [fn('Main.Base.tanh')] : []
      if (check === 'sequence') {
        same(t,
          struct(`Flux.${name}`, [struct(`Flux.${name}Cell`, [...activation, lowered(wi), lowered(wh), lowered(b)])]),
          x, expected, `${name} over time`, { inputSize: times })
      } else {
        const states = name === 'LSTM' ? tuple(lowered(state), lowered(state)) : lowered(state)
        const one = column([inputs, 2], Array.from({ length: 2 * inputs }, (_, i) =>
          x.data[i % inputs + inputs * times * Math.floor(i / inputs)]))
        const firsts = column([units, 2], Array.from({ length: 2 * units }, (_, i) =>
          expected.data[i % units + units * times * Math.floor(i / units)]))
        same(t, struct('Flux.Recur', [
          struct(`Flux.${name}Cell`, [...activation, lowered(wi), lowered(wh), lowered(b), states]),
          states,
        ]), one, firsts, `${name} from its state`)
      }
    }
  }
})

t.test('which network: one, several, none, inside a struct of the user', async t => {
  const net = (): Lowered => chain(dense(2, 2, random(4), false))
  t.throws(() => readFlux(file({ encoder: net(), decoder: net() })), { code: 'AMBIGUOUS_NETWORK',
    message: /'encoder' \(Chain\), 'decoder' \(Chain\)/ })
  t.equal(readFlux(file({ encoder: net(), decoder: net() }), { model: 'decoder' }).parameters.length, 1)
  t.throws(() => readFlux(file({ encoder: net(), decoder: net() }), { model: 'decodr' }), { code: 'BAD_OPTION',
    message: /Did you mean 'decoder'/ })
  t.equal(readFlux(file({ agent: struct('Main.Agent', [1, net(), 'x']) })).parameters.length, 1)
  t.same(
    readFlux(file({ a: struct('Main.A', [struct('Main.B', [net(), net()])]) }), { model: 'a.1.2' }).parameters.length,
    1,
  )
  t.equal(
    readFlux(file({ m: chain(net(), dense(1, 2, random(2), false)) }), { model: 'm.layers.2' }).parameters[0].shape[0],
    1,
    'a layer inside',
  )
  const withRef = (): Lowered => struct('Flux.Chain', [tuple(struct('Flux.Dense', [backref(1), false, identity]))])
  t.equal(
    readFlux(file({ loss: struct('Main.Loss', [withRef()]), model: withRef() }, [array([2, 2], random(4))])).parameters
      .length,
    1,
    'a copy with the same arrays is the same network',
  )
  t.throws(() => readFlux(file({ p: [array([2, 2], random(4)), array([2], random(2))] })), {
    code: 'MISSING_ARCHITECTURE',
  })
  t.throws(() => readFlux(file({ n: 1 })), { code: 'UNSUPPORTED_FORMAT' })
  t.throws(() => readFlux(Uint8Array.of(0x37, 0x4A, 0x4C, 9, 4, 0, 0, 0)), { code: 'UNSUPPORTED_FORMAT',
    message: /Serialization/ })
  const gpu = struct('CUDA.CuArray', [struct('CUDA.ArrayStorage', []), int(16), int(0), ints(2, 2)])
  t.throws(() => readFlux(file({ m: chain(struct('Flux.Dense', [gpu, false, identity])) })), {
    code: 'UNSUPPORTED_FORMAT',
    message: /cpu\(model\)/,
  })
})

t.test('tied weights are one parameter', async t => {
  const graph = readFlux(
    file({
      m: chain(struct('Flux.Dense', [backref(1), false, fn('NNlib.relu')]),
        struct('Flux.Dense', [backref(1), false, identity])),
    }, [array([2, 2], random(4))]),
  )
  t.equal(graph.parameters.length, 1)
})

t.test('sizes of images: found, assumed, given', async t => {
  const convolution = struct('Flux.Conv', [identity, array([3, 3, 1, 2], random(18)), false, ints(1, 1),
    ints(0, 0, 0, 0), ints(1, 1), int(1)])
  const found = readFlux(file({ m: chain(convolution, fn('Flux.flatten'), dense(1, 2 * 25, random(50), false)) }))
  t.same(found.inputs[0].shape.slice(1), [1, 7, 7])
  t.match(found.notes.join(), /only square size/)
  const free = readFlux(file({ m: chain(convolution, struct('Flux.GlobalMeanPool', [])) }))
  t.same(free.inputs[0].shape.slice(1), [1, 28, 28])
  t.match(free.notes.join(), /give inputSize/)
  for (const inputSize of [[1, 9, 8], [9, 8], [8, 9, 1]]) {
    t.same(readFlux(file({ m: convolution }), { inputSize }).inputs[0].shape.slice(1), [1, 9, 8], inputSize.join())
  }
  t.throws(() => readFlux(file({ m: convolution }), { inputSize: [2, 9, 8] }), GraphError)
  t.throws(() => readFlux(file({ m: convolution }), { inputSize: [0] }), { code: 'BAD_OPTION' })
})
