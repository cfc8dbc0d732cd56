import t from 'tap'
import { OptionError } from '../../../core/errors/errors.js'
import { editDistance, nearestWord, oneOf } from '../../../core/errors/suggest.js'

t.test('a wrong word is answered with the nearest right one', async t => {
  t.equal(editDistance('kitten', 'sitting'), 3)
  t.equal(nearestWord('last-layers', ['last_layer', 'all']), 'last_layer')
  t.equal(nearestWord('zzzzzz', ['kron', 'full']), undefined)
  t.throws(() => oneOf('structure', 'krom', ['kron', 'full']),
    new OptionError('BAD_OPTION', "Option structure must be one of kron, full; got 'krom'. Did you mean 'kron'?"))
})
