#o a.0.b=1,2
a = [dict(b=1)]; a += [2]; x, (y, z) = 1, "ab"
b = a[0]["b"] if x in (1,) else None; c = a[::-1], "q{}".format(x), f"{x}{{}}"
d = {**dict(q=1), 0: r"\d"}; e = [*range(2)] * 2; g = -7 // 2, 2 ** 3, 1 << 4, not x, "\u00e9\x41"
f = "{{ fileDirname }}"; del a[1], d["q"]
