import string
import textwrap
import unicodedata

names = df["customer"].str.strip().str.title()
table = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
plain = "Grüße aus Köln".translate(table)
ascii_ = unicodedata.normalize("NFKD", "Café").encode("ascii", "ignore").decode()
template = string.Template("$who has ${n} orders").substitute(who="Ann", n=3)
wrapped = textwrap.fill("a long line of text that will be wrapped", width=12)
joined = ", ".join(sorted({n[:2] for n in names}))
größe = 3
result = {"plain": plain, "ascii": ascii_, "template": template, "lines": wrapped.count("\n"), "joined": joined, "letters": string.ascii_lowercase[:3], "größe": größe, "cap": string.capwords("a b")}
