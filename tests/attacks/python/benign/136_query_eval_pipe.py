def add_net(frame, factor=1.0):
    return frame.assign(net=lambda d: d["amount"] * (1 - d["discount"]) * factor)


def keep(frame, *, region):
    return frame.query("region == @region and amount > 10")


out = df.pipe(add_net, factor=0.5).eval("double = net * 2").pipe(keep, region="north").nlargest(3, "net")
out.attrs["note"] = "checked"
result = out[["order_id", "net", "double"]]
