# category: forging
# must: SystemExit and KeyboardInterrupt must be outcomes like any other
# expect: contained
# control: none
raise SystemExit('S3CR3T')
