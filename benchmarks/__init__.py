"""What the line costs: `make bench` runs everything here. Workloads are the .sql and .yaml files beside this one."""
