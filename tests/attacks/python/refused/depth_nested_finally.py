# expect: python.depth - -
try: x
finally:
 try: x
 finally:
  try: x
  finally:
   try: x
   finally:
    try: x
    finally:
     try: x
     finally:
      try: x
      finally:
       try: x
       finally:
        try: x
        finally:
         try: x
         finally:
          try: x
          finally:
           try: x
           finally:
            try: x
            finally:
             try: x
             finally:
              try: x
              finally:
               try: x
               finally:
                try: x
                finally:
                 try: x
                 finally:
                  try: x
                  finally:
                   x
