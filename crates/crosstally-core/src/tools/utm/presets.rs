//! What each ad source fills into a link. The names are the sources' own, from their help pages.

/// How links of one source are tagged.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name here.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How its macros look.
    pub sample: &'static str,
    /// `utm_source`.
    pub source: &'static str,
    /// `utm_medium`.
    pub medium: &'static str,
    /// `utm_campaign`.
    pub campaign: &'static str,
    /// `utm_content`.
    pub content: &'static str,
    /// `utm_term`.
    pub term: &'static str,
    /// `utm_id`.
    pub id: &'static str,
    /// Further parameters.
    pub more: &'static [(&'static str, &'static str)],
    /// Further macros that it knows.
    pub macros: &'static [&'static str],
}

impl Preset {
    /// Whether the source fills this in.
    #[must_use]
    pub fn knows(&self, written: &str) -> bool {
        let own = [self.campaign, self.content, self.term, self.id, self.source, self.medium];
        own.contains(&written)
            || self.macros.contains(&written)
            || self.more.iter().any(|(_, value)| *value == written)
    }
}

/// The preset of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name.trim()))
}

/// Whether a name between brackets that also stand in plain text is that of a macro.
pub(super) fn is_macro_name(name: &str) -> bool {
    let is =
        |written: &str| written.trim_matches(|c: char| !c.is_ascii_alphanumeric()).eq_ignore_ascii_case(name);
    PRESETS.iter().any(|preset| {
        preset.macros.iter().any(|written| is(written))
            || preset.more.iter().any(|(_, written)| is(written))
            || [preset.campaign, preset.content, preset.term, preset.id].into_iter().any(is)
    })
}

const NO: &[&str] = &[];

/// Every source.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "meta",
        title: "Meta",
        sample: "{{ad.id}}",
        source: "facebook",
        medium: "paid_social",
        campaign: "{{campaign.name}}",
        content: "{{ad.name}}",
        term: "{{adset.name}}",
        id: "{{campaign.id}}",
        more: &[
            ("adset_id", "{{adset.id}}"),
            ("ad_id", "{{ad.id}}"),
            ("placement", "{{placement}}"),
            ("site", "{{site_source_name}}"),
        ],
        macros: NO,
    },
    Preset {
        name: "tiktok",
        title: "TikTok",
        sample: "__CID__",
        source: "tiktok",
        medium: "paid_social",
        campaign: "__CAMPAIGN_NAME__",
        content: "__CID_NAME__",
        term: "__AID_NAME__",
        id: "__CAMPAIGN_ID__",
        more: &[("adgroup_id", "__AID__"), ("ad_id", "__CID__"), ("placement", "__PLACEMENT__")],
        macros: &["__CLICKID__"],
    },
    Preset {
        name: "google",
        title: "Google Ads",
        sample: "{campaignid}",
        source: "google",
        medium: "cpc",
        campaign: "{campaignid}",
        content: "{creative}",
        term: "{keyword}",
        id: "{campaignid}",
        more: &[
            ("adgroup_id", "{adgroupid}"),
            ("matchtype", "{matchtype}"),
            ("network", "{network}"),
            ("device", "{device}"),
        ],
        macros: &[
            "{assetgroupid}",
            "{targetid}",
            "{extensionid}",
            "{placement}",
            "{devicemodel}",
            "{loc_physical_ms}",
            "{loc_interest_ms}",
            "{adposition}",
            "{random}",
            "{gclid}",
        ],
    },
    Preset {
        name: "microsoft",
        title: "Microsoft Advertising",
        sample: "{CampaignId}",
        source: "bing",
        medium: "cpc",
        campaign: "{Campaign}",
        content: "{AdId}",
        term: "{keyword}",
        id: "{CampaignId}",
        more: &[
            ("adgroup_id", "{AdGroupId}"),
            ("matchtype", "{MatchType}"),
            ("network", "{Network}"),
            ("device", "{Device}"),
        ],
        macros: &[
            "{AdGroup}",
            "{TargetId}",
            "{OrderItemId}",
            "{QueryString}",
            "{BidMatchType}",
            "{loc_physical_ms}",
            "{msclkid}",
        ],
    },
    Preset {
        name: "snapchat",
        title: "Snapchat",
        sample: "{{ad.id}}",
        source: "snapchat",
        medium: "paid_social",
        campaign: "{{campaign.name}}",
        content: "{{ad.name}}",
        term: "{{adSet.name}}",
        id: "{{campaign.id}}",
        more: &[("adset_id", "{{adSet.id}}"), ("ad_id", "{{ad.id}}")],
        macros: &["{{creative.name}}", "{{creative.headline}}", "{{site_source_name}}"],
    },
    Preset {
        name: "pinterest",
        title: "Pinterest",
        sample: "{adid}",
        source: "pinterest",
        medium: "paid_social",
        campaign: "{campaign_name}",
        content: "{creative_id}",
        term: "{keyword}",
        id: "{campaignid}",
        more: &[("adgroup_id", "{adgroupid}"), ("ad_id", "{adid}"), ("device", "{device}")],
        macros: &["{adgroupname}", "{product_id}"],
    },
    Preset {
        name: "reddit",
        title: "Reddit",
        sample: "{{AD_ID}}",
        source: "reddit",
        medium: "paid_social",
        campaign: "{{CAMPAIGN_NAME}}",
        content: "{{AD_ID}}",
        term: "",
        id: "{{CAMPAIGN_ID}}",
        more: &[("adgroup_id", "{{ADGROUP_ID}}")],
        macros: &["{{CACHEBUSTER}}"],
    },
    Preset {
        name: "linkedin",
        title: "LinkedIn",
        sample: "its own dynamic parameters",
        source: "linkedin",
        medium: "paid_social",
        campaign: "",
        content: "",
        term: "",
        id: "",
        more: &[],
        macros: NO,
    },
    Preset {
        name: "x",
        title: "X",
        sample: "none",
        source: "x",
        medium: "paid_social",
        campaign: "",
        content: "",
        term: "",
        id: "",
        more: &[],
        macros: NO,
    },
    Preset {
        name: "taboola",
        title: "Taboola",
        sample: "{site}",
        source: "taboola",
        medium: "native",
        campaign: "{campaign_name}",
        content: "{title}",
        term: "{site}",
        id: "{campaign_id}",
        more: &[("ad_id", "{campaign_item_id}"), ("tblci", "{click_id}")],
        macros: &["{thumbnail}", "{site_id}", "{platform}", "{cpc}", "{timestamp}"],
    },
    Preset {
        name: "outbrain",
        title: "Outbrain",
        sample: "{{ad_id}}",
        source: "outbrain",
        medium: "native",
        campaign: "{{campaign_id}}",
        content: "{{ad_title}}",
        term: "{{publisher_name}}",
        id: "{{campaign_id}}",
        more: &[("ad_id", "{{ad_id}}"), ("ob_click_id", "{{ob_click_id}}")],
        macros: &["{{doc_title}}", "{{publisher_id}}", "{{section_id}}", "{{section_name}}"],
    },
    Preset {
        name: "propellerads",
        title: "PropellerAds",
        sample: "{zoneid}",
        source: "propellerads",
        medium: "push",
        campaign: "{campaignid}",
        content: "{bannerid}",
        term: "{zoneid}",
        id: "{campaignid}",
        more: &[("cost", "{cost}"), ("click", "${SUBID}")],
        macros: NO,
    },
    Preset {
        name: "exoclick",
        title: "ExoClick",
        sample: "{zone_id}",
        source: "exoclick",
        medium: "display",
        campaign: "{campaign_id}",
        content: "{variation_id}",
        term: "{src_hostname}",
        id: "{campaign_id}",
        more: &[("zone", "{zone_id}"), ("cost", "{actual_cost}"), ("click", "{conversions_tracking}")],
        macros: &["{cID}", "{crID}", "{campaign_name}", "{site_id}", "{format}", "{device}", "{geo_country}"],
    },
    Preset {
        name: "trafficstars",
        title: "TrafficStars",
        sample: "{site_id}",
        source: "trafficstars",
        medium: "display",
        campaign: "{campaign_id}",
        content: "{creative_id}",
        term: "{site_host}",
        id: "{campaign_id}",
        more: &[("cost", "{cost}"), ("click", "{click_id}")],
        macros: &["{site_id}", "{adspot_id}", "{category_id}"],
    },
    Preset {
        name: "mgid",
        title: "MGID",
        sample: "{widget_id}",
        source: "mgid",
        medium: "native",
        campaign: "{campaign_id}",
        content: "{teaser_id}",
        term: "{widget_id}",
        id: "{campaign_id}",
        more: &[("click", "{click_id}")],
        macros: NO,
    },
    Preset {
        name: "revcontent",
        title: "RevContent",
        sample: "{widget_id}",
        source: "revcontent",
        medium: "native",
        campaign: "{boost_id}",
        content: "{content_id}",
        term: "{widget_id}",
        id: "{boost_id}",
        more: &[],
        macros: &["{adv_targets}"],
    },
    Preset {
        name: "popads",
        title: "PopAds",
        sample: "[WEBSITEID]",
        source: "popads",
        medium: "pop",
        campaign: "[CAMPAIGNNAME]",
        content: "",
        term: "[WEBSITEID]",
        id: "",
        more: &[("cost", "[BID]"), ("click", "[IMPRESSIONID]")],
        macros: &["[CATEGORYNAME]", "[COUNTRY]", "[QUALITY]"],
    },
    Preset {
        name: "popcash",
        title: "PopCash",
        sample: "[siteid]",
        source: "popcash",
        medium: "pop",
        campaign: "[campaignid]",
        content: "",
        term: "[siteid]",
        id: "[campaignid]",
        more: &[("cost", "[bid]"), ("click", "[clickid]")],
        macros: &["[category]", "[cc]"],
    },
    Preset {
        name: "adcash",
        title: "AdCash",
        sample: "[zone]",
        source: "adcash",
        medium: "display",
        campaign: "[campaign]",
        content: "",
        term: "[zone]",
        id: "[campaign]",
        more: &[("click", "[clickid]")],
        macros: &["[country]", "[lang]"],
    },
    Preset {
        name: "zeropark",
        title: "Zeropark",
        sample: "{target}",
        source: "zeropark",
        medium: "pop",
        campaign: "{campaign_id}",
        content: "{ad_copy_name}",
        term: "{target}",
        id: "{long_campaign_id}",
        more: &[("cost", "{visit_cost}"), ("click", "{cid}")],
        macros: &["{source}", "{keyword}", "{match}", "{traffic_type}"],
    },
    Preset {
        name: "pushground",
        title: "Pushground",
        sample: "{supply_id}",
        source: "pushground",
        medium: "push",
        campaign: "{campaign_id}",
        content: "{creativity_id}",
        term: "{source}",
        id: "{campaign_id}",
        more: &[("cost", "{bid}"), ("click", "{click_id}")],
        macros: &["{supply_id}"],
    },
    Preset {
        name: "richads",
        title: "RichAds",
        sample: "[SOURCE_ID]",
        source: "richads",
        medium: "push",
        campaign: "[CAMPAIGN_ID]",
        content: "[CREATIVE_ID]",
        term: "[SOURCE_ID]",
        id: "[CAMPAIGN_ID]",
        more: &[("click", "[CLICK_ID]")],
        macros: &["[SSP_ID]"],
    },
];
