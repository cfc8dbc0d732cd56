import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { onceForGraph } from '../../../core/graph/once.js'
import { tensor } from '../../../core/tensor/tensor.js'

function doubled(initializers?: Graph['initializers']): Graph {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 2])
  const graph = b.build([b.node('Mul', [x, b.constant(tensor('float64', [1], [2]), 'two')])])
  return initializers === undefined ? graph : { ...graph, initializers }
}

t.test('a graph is asked once for each set of words, and errors are thrown every time', async t => {
  const asked: string[] = []
  const find = onceForGraph((graph, word: string | undefined) => {
    asked.push(word ?? 'none')
    if (word === 'wrong') throw new Error('wrong')
    return graph.nodes.length
  })
  const graph = doubled()
  t.same([find(graph, 'a'), find(graph, 'a'), find(graph, undefined), find(graph, 'b')], [1, 1, 1, 1])
  t.throws(() => find(graph, 'wrong'))
  t.throws(() => find(graph, 'wrong'))
  t.same(asked, ['a', 'none', 'b', 'wrong', 'wrong'])
  find(doubled(), 'a')
  t.equal(asked.length, 6, 'another graph is asked for itself')
})

t.test('results that are undefined are results', async t => {
  let asked = 0
  const find = onceForGraph((): undefined => {
    asked++
  })
  const graph = doubled()
  find(graph)
  find(graph)
  t.equal(asked, 1)
})

t.test('a tensor in the place of another is seen', async t => {
  const values = new Map(doubled().initializers)
  const graph = doubled(values)
  const find = onceForGraph(({ initializers }) => initializers.get('two')?.data[0])
  t.equal(find(graph), 2)
  values.set('two', tensor('float64', [1], [3]))
  t.equal(find(graph), 3)
  values.delete('two')
  t.equal(find(graph), undefined)
})
