import { writeFileSync } from 'node:fs'
import { Simulator } from '#simulator/simulator.ts'
import { Featurizer } from '#models/features/featurizer.ts'
import { loadFeatureSpec } from '#models/features/shipped-specs.ts'
import { createFeatureBuffers } from '#models/feature-buffers.ts'
import { EventColumns, writeLabel, writeTransaction, isScoredKind } from '#schemas/event-columns.ts'
import { StateMemory } from '#infra/state-memory.ts'
import { baseFactors } from '#schemas/rates.ts'
const preset=(process.argv[2]??'demo') as any, N=+(process.argv[3]??200000), seed=+(process.argv[4]??1), out=process.argv[5]??'/tmp/simdump', noRate=process.argv[6]
const s=new Simulator({preset,seed,startMs:Date.UTC(2025,0,6),totalEvents:N})
const spec=loadFeatureSpec('default','models/features/specs')
const f=new Featurizer({spec,memory:new StateMemory()})
const L=f.layout, F=L.currentWidth, K=L.historyLength,H=L.historyWidth
const C=256, ev=new EventColumns(C), buf=createFeatureBuffers(L,C)
const keep=+(process.argv[6]??1)
let truths:any[]=[]; const rows:Float32Array[]=[], meta:number[]=[], hist:Float32Array[]=[]
const TN=['none','enumeration','stolen_details','takeover','lost_stolen','ring','bust_out','first_party','wallet']
const seen=new Set<string>(); let n=0
const factors=baseFactors(s.rates)
let rs=12345; const rnd=()=>{rs=(Math.imul(rs,1103515245)+12345)>>>0; return rs/2**32}
function flush(){ f.fold(ev,new Uint8Array(C),buf); f.endSlice()
 for(let i=0;i<ev.count;i++){const tr=truths[i]; if(!tr) continue; const isA=ev.kind[i]===0?1:0
  if(!tr.fraud && rnd()>keep) continue
  rows.push(buf.current.slice(i*F,i*F+F)); hist.push(buf.history.slice(i*K*H,(i+1)*K*H)); meta.push(tr.fraud?1:0,TN.indexOf(tr.tactic),tr.approved?1:0,isA,n,ev.amount_base[i]!)}
 ev.count=0; truths=[]}
while(n<N){const it=s.next(); const r=ev.count
 if(it.kind==='label'){writeLabel(ev,r,it.label);truths.push(null)}
 else{ n++; const t=it.transaction; if(seen.has(t.transaction_id)) continue; seen.add(t.transaction_id)
  writeTransaction(ev,r,t,Math.round(t.amount*factors.get(t.currency)!)); truths.push(it.truth&&isScoredKind(ev.kind[r]!)?it.truth:null)}
 ev.count++; if(ev.count===C) flush()}
flush()
const X=new Float32Array(rows.length*F); rows.forEach((r,i)=>X.set(r,i*F))
const HH=new Float32Array(rows.length*K*H); hist.forEach((r,i)=>HH.set(r,i*K*H))
writeFileSync(out+'.x',Buffer.from(X.buffer)); writeFileSync(out+'.h',Buffer.from(HH.buffer)); writeFileSync(out+'.m',Buffer.from(Float64Array.from(meta).buffer))
writeFileSync(out+'.json',JSON.stringify({F,K,H,n:rows.length,cols:L.currentColumns.map(c=>c.name),groups:L.currentColumns.map(c=>c.group),hcols:L.historyColumns.map(c=>c.name)}))
console.log(rows.length,F,K,H)
