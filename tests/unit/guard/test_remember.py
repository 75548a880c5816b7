"""Answers are kept for the same objects only."""

from agent.guard.remember import by_identity


def test_the_same_object_is_asked_about_once():
    asked = []
    answer = by_identity(lambda thing: asked.append(thing) or len(thing))
    one = (1, 2, 3)
    other = (*one[:1], *one[1:])
    assert [answer(one), answer(one), answer(other)] == [3, 3, 3]
    assert len(asked) == 2


def test_few_answers_are_kept_and_all_are_right():
    answer = by_identity(lambda thing: thing[0])
    things = [(number,) for number in range(50)]
    assert [answer(thing) for thing in things] == list(range(50))
    assert answer(things[0]) == 0
