# Which clubs paid most, and how unevenly, in the last ten seasons of the data.
recent = salaries[salaries["yearID"] > salaries["yearID"].max() - 10]
by_club = (
    recent.groupby(["yearID", "teamID"])["salary"]
    .agg(players="count", total="sum", median="median", highest="max")
    .reset_index()
)
by_club["share_of_highest"] = (by_club["highest"] / by_club["total"]).round(4)
by_club["rank"] = by_club.groupby("yearID")["total"].rank(ascending=False, method="first").astype(int)
result = by_club[by_club["rank"] <= 3].sort_values(["yearID", "rank"])
