/** @file Functions of the user that are recognised by their code, and those that are not. */
import t from 'tap'
import { type FluxOptions, readFlux } from '../../../../adapters/flux/index.js'
import { at, type Column, column, dense as denseOf, map, pool, reshape, softmax, zeros } from '../column-major.js'
import { array, call, callStatement, chain, closure, dense, file, float32, fn, give, global, identity, int,
  type Lowered, slot, ssa, struct, symbol, tuple } from '../julia-writer.js'
import { lowered, random, same, some } from '../same-network.js'

t.test('anonymous functions are recognised by their code', async t => {
  const x = some(2, 3)
  const image = some(4, 4, 2, 3)
  const w = some(2, 32)
  const size = { inputSize: [2, 4, 4] }
  const layer = (statements: Lowered[], arity = 1): { value: Lowered, backref: Lowered } =>
    closure(statements, { arity })
  const check = (name: string, statements: Lowered[], input: Column, expected: Column, before: Lowered[],
    after: Lowered[] = [], options: FluxOptions = {}): void => {
    const { value, backref: ref } = layer(statements)
    same(t, chain(...before, value, ...after), input, expected, name, options, [ref])
  }
  const scale = struct('Flux.Scale', [array([2], [1, 1]), false, identity])
  check('softmax', [call('softmax', slot(2)), give(ssa(1))], x, softmax(x), [scale])
  check('tanh.', [call('broadcasted', global('tanh'), slot(2)), call('materialize', ssa(1)), give(ssa(2))], x,
    map(x, Math.tanh), [scale])
  check('2 .* x', [call('param', 2), call('broadcasted', global('*'), ssa(1), slot(2)), call('materialize', ssa(2)),
    give(ssa(3))], x, map(x, v => 2 * v), [scale])
  check('x .^ 2', [callStatement(global('apply_type'), global('Val'), int(2)), callStatement(ssa(1)),
    call('broadcasted', global('literal_pow'), global('^'), slot(2), ssa(2)), call('materialize', ssa(3)),
    give(ssa(4))], x, map(x, v => v * v), [scale])
  const flat = denseOf(w, undefined, reshape(image, 32, 3))
  const head = struct('Flux.Dense', [lowered(w), false, identity])
  check('reshape(x, :, size(x, 4))', [call('size', slot(2), int(4)), call('reshape', slot(2), global(':'), ssa(1)),
    give(ssa(2))], image, flat, [], [head], size)
  check('1.9: colon first', [global(':'), call('size', slot(2), int(4)), call('reshape', slot(2), ssa(1), ssa(2)),
    give(ssa(3))], image, flat, [], [head], size)
  check('1.1: return expression', [call('size', slot(2), int(4)), call('reshape', slot(2), global(':'), ssa(1)),
    struct('Core.Expr', [symbol('return'), [ssa(2)]])], image, flat, [], [head], size)
  check('maxpool(x, (2, 2))', [call('tuple', int(2), int(2)), call('maxpool', slot(2), ssa(1)), give(ssa(2))], image,
    pool(image, 'max', [2, 2], [2, 2]), [], [], size)
  const vector = some(32, 3)
  check('reshape(x, 4, 4, 2, :)', [call('reshape', slot(2), int(4), int(4), int(2), global(':')), give(ssa(1))], vector,
    reshape(vector, 4, 4, 2, 3), [], [], { inputSize: 32 })
  check('reshape(x, (4, 4, 2, :))', [call('tuple', int(4), int(4), int(2), global(':')),
    call('reshape', slot(2), ssa(1)), give(ssa(2))], vector, reshape(vector, 4, 4, 2, 3), [], [], { inputSize: 32 })
  check('mean over positions', [
    call('tuple', symbol('dims')),
    callStatement(global('apply_type'), global('NamedTuple'), ssa(1)),
    call('tuple', int(1), int(2)),
    call('tuple', ssa(3)),
    callStatement(ssa(2), ssa(4)),
    call('kwcall', ssa(5), global('mean'), slot(2)),
    call('size', ssa(6), int(3)),
    call('size', ssa(6), int(4)),
    call('reshape', ssa(6), ssa(7), ssa(8)),
    give(ssa(9)),
  ], image, reshape(pool(image, 'mean', [4, 4], [1, 1]), 2, 3), [], [], size)
  const padded = zeros(6, 6, 2, 3)
  padded.data.forEach((_, i) => {
    const [u, v, c, n] = [i % 6, Math.floor(i / 6) % 6, Math.floor(i / 36) % 2, Math.floor(i / 72)]
    padded.data[i] = image.data[at(image, (u + 3) % 4, (v + 3) % 4, c, n)]
  })
  check('Flux.NNlib.pad_circular(x, (1, 1, 1, 1))', [
    call('getproperty', global('Flux'), symbol('NNlib')),
    call('getproperty', ssa(1), symbol('pad_circular')),
    call('tuple', int(1), int(1), int(1), int(1)),
    callStatement(ssa(2), slot(2), ssa(3)),
    give(ssa(4)),
  ], image, padded, [], [], size)
  const captured = closure([call('getfield', slot(1), symbol('k')), call('broadcasted', global('*'), ssa(1), slot(2)),
    call('materialize', ssa(2)), give(ssa(3))], { captured: { k: float32(0.5) } })
  same(t, chain(scale, captured.value), x, map(x, v => v / 2), 'a captured number', {}, [captured.backref])
  const connection = closure([call('cat', slot(2), slot(3)), give(ssa(1))], { arity: 2 })
  t.throws(
    () =>
      readFlux(
        file({ m: chain(struct('Flux.SkipConnection', [dense(2, 2, random(4), false), connection.value])) }, [
          connection.backref,
        ]),
      ),
    { code: 'UNSUPPORTED_OPERATOR', message: /cat needs dims/ },
  )
  const along = closure([
    callStatement(global('apply_type'), global('NamedTuple'), tuple(symbol('dims'))),
    call('tuple', int(1)),
    callStatement(ssa(1), ssa(2)),
    call('kwfunc', global('cat')),
    callStatement(ssa(4), ssa(3), global('cat'), slot(2), slot(3)),
    give(ssa(5)),
  ], { arity: 2 })
  const twice = column([4, 3], Array.from({ length: 12 }, (_, i) => x.data[i % 2 + 2 * Math.floor(i / 4)]))
  same(t, struct('Flux.SkipConnection', [scale, along.value]), x, twice, 'cat(mx, x, dims = 1)', {}, [along.backref])
  const own = readFlux(file({ m: chain(fn('Main.flatten'), dense(1, 4, random(4), false)) }))
  t.match(own.notes.join(), /Main|flatten of the program/)
  const plus = closure([call('+', slot(2), slot(3)), give(ssa(1))], { arity: 2 })
  same(t, struct('Flux.SkipConnection', [scale, plus.value]), x, map(x, v => 2 * v), 'a connection of two arguments',
    {}, [plus.backref])
})

t.test('functions that cannot be imported are named with the way out', async t => {
  const refuse = (statements: Lowered[], message: RegExp): void => {
    const { value, backref: ref } = closure(statements)
    t.throws(() => readFlux(file({ m: chain(dense(2, 2, random(4), false), value) }, [ref])), {
      code: 'UNSUPPORTED_OPERATOR',
      message,
    }, String(message))
  }
  refuse([call('sort', slot(2)), give(ssa(1))], /#1#2 \(line 7\).*'sort'.*Flux layer/s)
  refuse([struct('Core.GotoIfNot', [slot(2), int(3)]), give(slot(2))], /branches or loops/)
  refuse([call('reshape', slot(2), int(1), global(':')), give(ssa(1))], /reshapes 2 numbers/)
  refuse([call('vec', slot(2)), give(ssa(1))], /mixes the examples/)
  refuse([], /returns nothing/)
  refuse([give(ssa(5))], /not there/)
})
