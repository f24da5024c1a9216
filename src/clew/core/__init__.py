"""The engine: what a tensor remembers, what a primitive declares, how `backward` follows the thread home.

Read in this order: `modes` (is anything recorded?), `version` (was a saved value overwritten?), `node` (one recorded
operation), `variable` (an array and its place in the graph), `primitive` (one operation, declared once),
`engine` (the walk back) with `hooks`, `inplace` (views and writes).
"""
