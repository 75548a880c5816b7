"""A column's name -> what it seems to hold, in the languages of the databases that people have.

English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish and Swedish; accents do not matter.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Topic:
    """What a name speaks of. `rule` is what a policy might say: a word, or a mapping of one rule to its parameters.

    `kinds` are the types of column that the rule fits, by `agent.masking.rules.Kind`; elsewhere it is `redact`.
    """

    name: str
    rule: str | Mapping[str, object]
    kinds: tuple[str, ...] = ("text",)


_WORDS: Final[tuple[tuple[Topic, str], ...]] = (
    (
        Topic("a secret", "redact"),
        """
        pass(word|wd|phrase) pwd passwort kennwort contrasena senha wachtwoord haslo parola mot_de_passe
        (api|private|secret|access)_?(key|token) token secret credentials? pin(_?code)? otp salt hash
        """,
    ),
    (
        Topic("an e-mail address", "email"),
        """
        e_?mails?(_?(address|adresse|addr))? mail_?(address|adresse|addr)? courriel correo(_electronico)? eposta
        e_post
        """,
    ),
    (
        Topic("a telephone number", {"partial": {"keep_last": 4}}),
        """
        phones?(_?(no|nr|num|number))? tele?phone tel(efon[a-z]*)? mobile?(_?(no|nr|num|number|phone))?
        mobil(nummer|telefon)? handy(nummer)? cell(_?phone|ular)? movil celular telemovel portable komorka gsm fax
        whatsapp msisdn
        """,
    ),
    (
        Topic("a date of birth", "year", ("date", "timestamp")),
        """
        dob birth(_?(date|day))? date_of_birth born(_on)? geburt[a-z]* naissance date_(de_)?naiss[a-z]* nacimiento
        fecha_nac[a-z]* nascimento data_nasc[a-z]* nascita data_(di_)?nascita geboorte[a-z]* urodzenia data_ur[a-z]*
        dogum[a-z_]* fodelse[a-z]*
        """,
    ),
    (
        Topic("a national identity number", "redact"),
        """
        ssn social_?sec[a-z]*(_?(no|nr|num|number))? itin nino national_?(id|ins[a-z]*)[a-z_]*
        tax_?(id|no|nr|num|number|payer[a-z_]*) steuer_?(id|nr|nummer)[a-z_]* idnr sv_?(nr|nummer) sozialvers[a-z]*
        ausweis[a-z_]* nir insee num(ero)?_?secu[a-z_]* dni nie nif cedula curp rfc cpf codice_?fiscale
        cod_?fisc[a-z]* bsn burgerservice[a-z]* sofi(nummer)? pesel dowod[a-z_]* tckn tc_?(no|kimlik[a-z_]*)
        kimlik[a-z_]* personnummer person_?nr passport[a-z_]* reisepass[a-z_]* pasaporte passaporto paspoort[a-z]*
        driv[a-z]*_?licen[a-z_]*
        """,
    ),
    (
        Topic("a card number", "last4"),
        """
        card_?(no|nr|num|number) (credit|debit)_?card[a-z_]* pan ccn? cc_?(no|nr|num|number) kreditkarte[a-z_]*
        karten_?(nr|nummer) numero_(de_)?(carte|tarjeta) carta_di_credito kart_?no cvv2? cvc2?
        """,
    ),
    (
        Topic("a bank account", "last4"),
        """
        iban bban bank_?(account|konto|acc)[a-z_]* account_?(no|nr|num|number) konto_?(nr|nummer) sort_?code
        routing_?(no|nr|num|number) cuenta_?bancaria compte_?bancaire rekening_?(nr|nummer) hesap_?no
        """,
    ),
    (
        Topic("a person's name", "redact"),
        """
        (first|last|middle|full|sur|maiden|given|family|user|display|contact|customer|employee|person|holder|patient)_?names?
        name_?(first|last) vor_?name nach_?name familien_?name geburts_?name prenom nom(_de_famille)? nombres?
        apellidos? sobrenome nome_?(completo)? cognome voornaam achternaam imie nazwisko ad_?soyad soyad[a-z]* fornamn
        efternamn login user_?name benutzername
        """,
    ),
    (
        Topic("an address", "redact"),
        """
        addr(ess)?(_?(line)?_?[0-9])? street[a-z_]* strasse[a-z_]* anschrift adresse? hausnummer house_?(no|nr|number)
        direccion calle rue endereco indirizzo straat[a-z]* ulica adres sokak gatu?adress zip(_?code)? post(al)?_?code
        plz code_postal codigo_postal cep postcode kod_pocztowy
        """,
    ),
    (
        Topic("a place", {"round": 1}, ("number",)),
        """
        lat(itude)? lon(g(itude)?)? lng breitengrad laengengrad latitud longitud
        """,
    ),
    (
        Topic("pay or wealth", {"bucket": 10000}, ("integer", "number")),
        """
        salar[a-z]* wages? income pay(roll|_?rate|_?grade)? gehalt[a-z_]* lohn[a-z_]* einkommen salaire revenus?
        sueldo nomina stipendio salaris loon pensja wynagrodzenie maas net_?worth credit_?(score|limit) bonus
        """,
    ),
    (
        Topic("health, belief or origin", "redact"),
        """
        diagnos[a-z_]* icd(_?10)? disease illness blood_?(type|group) medic[a-z_]* krankheit[a-z_]* befund
        gesundheit[a-z_]* maladie enfermedad malattia ziekte choroba hastalik disabilit[a-z]* behinderung
        religio[a-z]* konfession ethnic[a-z]* race nationalit[a-z]* staatsangehoerigkeit staatsangehorigkeit
        sexual[a-z_]* gender sex geschlecht sexe sexo sesso geslacht plec cinsiyet union_?member[a-z]*
        gewerkschaft[a-z_]* political[a-z_]*
        """,
    ),
    (
        Topic("a network address", "redact"),
        """
        ip(_?(addr|address|adresse))? ipv[46] mac_?(addr|address)? imei imsi device_?id user_?agent cookie[a-z_]*
        session_?id
        """,
    ),
    (
        Topic("free text", "redact"),
        """
        notes? comments? remarks? bemerkung[a-z]* kommentar[a-z]* notiz[a-z]* remarques? observacion[a-z]*
        observac[a-z]* note opmerking[a-z]* uwagi notlar free_?text freitext message body transcript description
        beschreibung
        """,
    ),
)
"""Topic -> patterns for the words of its names, in lower case and without accents."""
_TOPICS: Final = [(topic, re.compile(f"(?:^|_)(?:{'|'.join(words.split())})(?:_|$)")) for topic, words in _WORDS]
_PLAIN: Final = {0x131: "i", 0x142: "l", 0xF8: "o"}
"""Letters that have no accent to take away: dotless i, l and o with a stroke."""
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=8192)
def topic_of(column: str) -> Topic | None:
    """What a column's name speaks of; None for nothing that is known to be sensitive."""
    plain = normalised(column)
    return next((topic for topic, words in _TOPICS if words.search(plain)), None)


def normalised(name: str) -> str:
    """`billingEMail`, `Straße 2` -> `billing_e_mail`, `strasse_2`."""
    spread = _CAMEL.sub("_", name).casefold()
    bare = "".join(c for c in unicodedata.normalize("NFKD", spread) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "_", bare.translate(_PLAIN)).strip("_")
