"""The radio edge: finds treadmills, holds their connections, hands over their bytes.

bleak is the only Bluetooth client, over the system's stack or over Bumble. Import this package only
when Bluetooth is used. It refuses to know sessions, programs and safety.
"""
