"""The same paid session through what the field publishes and through Honorarium, on one Anvil.

    make peers

`ours`, `sablier` and `superfluid` each hold the session of one protocol; `ground` is the chain that
they share, `sessions` what is measured of them, `quoted` the figures of those who publish no
package, `page` how it is all shown.
"""
