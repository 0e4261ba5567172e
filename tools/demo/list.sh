#!/usr/bin/env bash
# Prints a list of N readers of the Canal Gazette as CSV: email,id,name,city,ticket. Always the same for the same N.
#
#   tools/demo/list.sh [N]     100,000 unless told
set -euo pipefail
exec awk -v n="${1:-100000}" 'BEGIN {
  first = split("Ada Björn Chiara Dmitri Élodie Farid Grace Håkon Ines João Kateřina Lars Mirjam Noor Oluwaseun Paweł Quentin Renée Søren Thuý Ursula Víctor Wen Xenia Yusuf Zoë", names, " ")
  last = split("Okafor Lindqvist Bianchi Petrov Dubois Haddad Hopper Nilsen García Araújo Novák Jansen Weiß Rahman Adeyemi Kowalski Martin Brontë Kierkegaard Nguyễn", families, " ")
  towns = split("Birmingham,Utrecht,Göteborg,Łódź,Venezia,Brugge,Saint-Malo,Aveiro,Hamburg,København,Delft,Kraków", cities, ",")
  print "email,id,name,city,ticket"
  for (i = 1; i <= n; ++i) {
    h = (i * 7919) % 1000003
    printf "reader%d@mail%d.example,%d,\"%s %s\",%s,LOCK-%06d\n", i, h % 200, i, names[h % first + 1], families[int(h / 31) % last + 1], cities[int(h / 997) % towns + 1], h
  }
}'
