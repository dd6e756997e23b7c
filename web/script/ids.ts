// Written by `cargo xtask web` from the table of crates/crosstally-core/src/click.rs; changes belong there.
export const adClickIds = ",fbclid,gclid,gbraid,wbraid,dclid,ttclid,sccid,epik,rdt_cid,li_fat_id,twclid,msclkid,oppref,tblci,tblclid,dicbo,obclid,ob_click_id,outbrainclickid,irclickid,yclid,qclid,ndclid,sacid,viant_click_id,cjevent,awc,";
