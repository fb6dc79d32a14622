"""A treadmill, and a person on it, made of software.

`belt` is the motor and the walker's weight, `ftms_server` the machine's Bluetooth manners without
any Bluetooth, `habits` its faults as data; these three are pure and run in virtual time. `gatt`
puts a server on a controller, `air` serves controllers over TCP, `walker` is the person. Refuses to
know the bridge: it shares only the FTMS codec and the records with it.
"""
