# expect: python.import 2 12
import os, subprocess, json
