import t from 'tap'
import { tensor } from '../../../core/tensor/tensor.js'

t.test('values that are no numbers are refused, but for true and false in a tensor of booleans', t => {
  const given = [true, false, true] as unknown as number[]
  t.same(tensor('bool', [3], given).data, Uint8Array.of(1, 0, 1))
  t.throws(() => tensor('float64', [3], given), { code: 'BAD_ARRAY', message: /got true at 0/ })
  t.throws(() => tensor('bool', [1], ['yes'] as unknown as number[]), { code: 'BAD_ARRAY' })
  t.throws(() => tensor('int64', [2], [1, 2, 3]), { code: 'SHAPE_MISMATCH' })
  t.end()
})
